"""Fake people who are to be forgotten again, under the published protocol."""

from typing import ClassVar

from erase_ray.reference.defects import SPAM
from erase_ray.reference.scenarios._edition import ReferenceScenario, ReferenceSettings
from erase_ray.scenarios import SCENARIOS
from erase_ray.scenarios.spam import Spam as Corrected


@SCENARIOS.register_reference
class Spam(ReferenceScenario, Corrected):
    """The same fakes as in the corrected edition."""

    of: ClassVar[str] = SPAM
    version: ClassVar[int] = 1

    class Settings(ReferenceSettings, Corrected.Settings):
        """Settings of `Spam`."""
