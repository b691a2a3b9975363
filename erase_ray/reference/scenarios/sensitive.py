"""People who want one category forgotten, under the published protocol."""

from typing import Any, ClassVar

from erase_ray.reference.defects import SENSITIVE
from erase_ray.reference.scenarios._edition import ReferenceScenario, ReferenceSettings
from erase_ray.scenarios import SCENARIOS
from erase_ray.scenarios.sensitive import Sensitive as Corrected


@SCENARIOS.register_reference
class Sensitive(ReferenceScenario, Corrected):
    """The same people ask for the same rows as in the corrected edition."""

    of: ClassVar[str] = SENSITIVE
    version: ClassVar[int] = 1

    class Settings(ReferenceSettings, Corrected.Settings):
        """Settings of `Sensitive`."""

    @classmethod
    def _neutral(cls) -> dict[str, Any]:
        # who asks for what has no influence on the base model, but the fields have no defaults
        return cls.Settings(category="", fraction=0.5, defects=[]).model_dump(mode="json")
