"""What the reference editions of scenarios have in common."""

from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.reference import defects as known
from erase_ray.reference.marks import ReferenceChain
from erase_ray.reference.protocol import ReferenceView
from erase_ray.registry import EDITION
from erase_ray.scenarios import Chain, ChainSettings, Scenario

DEFECTS = "defects"


class ReferenceSettings(ChainSettings):
    """Settings that the reference editions have besides."""

    edition: Literal["reference"] = "reference"
    """Which edition of the scenario it is."""
    defects: Literal["all"] | list[str] = "all"
    """Defects of the published protocol, by name (docs/conformance.md); those that have no
    influence on the task or the scenario are ignored."""

    @field_validator("defects")
    @classmethod
    def _are_known(cls, defects: str | list[str]) -> str | list[str]:
        return defects if isinstance(defects, str) else known.checked(defects)

    @model_validator(mode="after")
    def _marks_count_wishes(self) -> Self:
        if self.batch > 1 and "marks" in (known.DEFECTS if self.defects == "all" else self.defects):
            raise ValueError(
                f"the published marks are known for a batch of 1, got {self.batch}; leave 'batch' "
                "out, or name the defects without 'marks'"
            )
        return self


class ReferenceScenario(Scenario):
    """A corrected scenario under the published protocol; put before it among the bases."""

    of: ClassVar[str]
    """Name of the corrected edition."""

    @classmethod
    def base_settings(cls, settings: dict[str, Any], task: str) -> dict[str, Any] | None:
        """Settings that shape the base model: its poison, and the defects of training.

        Without the latter it is the base model of the corrected edition.
        """
        shaping = known.in_training(settings[DEFECTS], task, cls.of)
        shared = super().base_settings(settings, task)
        if not shaping:
            return shared and {k: v for k, v in shared.items() if k not in (EDITION, DEFECTS)}
        return (shared or cls._neutral()) | {DEFECTS: shaping}

    @classmethod
    def _neutral(cls) -> dict[str, Any]:
        """Settings of a scenario without fakes, none of which has an influence on training."""
        raise NotImplementedError

    def view(self, data: Prepared, chain: Chain) -> ReferenceView:
        """The published protocol, as far as the settings ask for it."""
        found = known.active(self.settings.defects, data.task, self.of)
        return ReferenceView(data, self._marked(chain), found)

    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain of the corrected edition; its marks may be others."""
        return self._marked(super().build(interactions, split, catalogue, seed))  # type: ignore

    def _marked(self, chain: Chain) -> Chain:
        found = known.active(self.settings.defects, self.task, self.of)
        return ReferenceChain.of(chain) if "marks" in found else chain
