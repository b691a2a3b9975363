"""The unit of work and of caching."""

import hashlib
import json
from typing import Any

from pydantic import Field

from erase_ray import seeds
from erase_ray.audits import AUDITS, Audit
from erase_ray.datasets import DATASETS, Dataset
from erase_ray.experiment.results import BASE, ORIGINAL, SHADOW
from erase_ray.methods import METHODS, Method
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.registry import CORRECTED, EDITION, Registry, part_title
from erase_ray.scenarios import SCENARIOS, Scenario, _view
from erase_ray.settings import Frozen, checked

FORMAT = 5
"""Raised when the training loop, the evaluation or the stored tables change their numbers."""


class Part(Frozen):
    """A dataset, model, scenario or method by name, with its resolved settings."""

    name: str
    settings: dict[str, Any] = {}

    @classmethod
    def resolved(cls, registry: Registry[Any], name: str, settings: dict[str, Any]) -> "Part":
        """The part with all defaults written out; ``edition: corrected`` goes without saying.

        Raises:
            UnknownNameError: No part has this name.
            SettingsError: A key is unknown or a value out of range.
        """
        edition = settings.get(EDITION, CORRECTED)
        kind = registry.get(name, edition)
        if registry.has_editions and edition == CORRECTED:
            settings = {key: value for key, value in settings.items() if key != EDITION}
        values = checked(kind.Settings, settings, f"settings of {registry.kind} '{name}'")
        return cls(name=name, settings=values.model_dump(mode="json"))

    @property
    def title(self) -> str:
        """The name of a method or scenario in tables, such as ``scif`` or ``scif.reference``."""
        return part_title(self.name, self.settings)

    def kind(self, registry: Registry[Any]) -> Any:
        """The part's class."""
        return registry.get(self.name, self.settings.get(EDITION, CORRECTED))

    def build(self, registry: Registry[Any], *arguments: Any) -> Any:
        """An instance of the part's class."""
        kind = self.kind(registry)
        return kind(kind.Settings(**self.settings), *arguments)

    def identity(self, registry: Registry[Any]) -> dict[str, Any]:
        """All of the part that can change a number."""
        version = self.kind(registry).version
        found = {"name": self.name, "version": version, "settings": self.settings}
        origin = registry.outside().get(self.name)  # two packages may give one name to two parts
        return found | ({"package": origin.distribution} if origin else {})


NO_METHOD = (BASE, ORIGINAL)


class Shadow(Frozen):
    """One of ``count`` models that audits compare; see :mod:`.shadows`."""

    index: int = Field(ge=0)
    count: int = Field(ge=2, multiple_of=2)


class Cell(Frozen):
    """One run of one method; its key is a hash of all that can change its result.

    ``method`` may also be ``base`` (train the base model; ``scenario`` is then None unless it has
    an influence on training, such as poison, and has then the defaults in all the rest) or
    ``original`` (measure it). ``mark`` (1 to 4) is set for methods that get one merged request a
    mark, and None for chains, which pass all four.
    ``shadow`` is set where everything works without the rows of some requests, and ``audit`` where
    ``method`` is audited.
    """

    dataset: Part
    model: Part
    training: TrainingSettings
    scenario: Part | None
    method: Part
    seed: int
    mark: int | None = None
    limit_s: float | None = Field(default=None, gt=0)
    """Seconds a request of a chain may take; None for no limit. It can change what comes out, from
    run to run."""
    shadow: Shadow | None = None
    audit: Part | None = None

    @property
    def key(self) -> str:
        """SHA-256 of everything that can change the result, in hexadecimal."""
        return _digest(
            self._further_identity()
            | {
                "format": FORMAT,
                "dataset": self.dataset.identity(DATASETS),
                "model": self.model.identity(MODELS),
                "training": self.training.model_dump(mode="json"),
                "scenario": self.scenario.identity(SCENARIOS) if self.scenario else None,
                "method": self._method_identity(),
                "seed": self.seed,
                "mark": self.mark,
            }
        )

    @property
    def data_key(self) -> str:
        """Key of the prepared dataset that the cell reads."""
        return data_key(self.dataset)

    @property
    def base(self) -> "Cell":
        """The cell that trains the base model this one starts from."""
        changes = {"method": Part(name=BASE), "mark": None, "limit_s": None, "audit": None}
        if self.shadow is None:
            changes["scenario"] = self._of_base
        return self.model_copy(update=changes)

    @property
    def subject(self) -> str:
        """What kind of model is measured: ``original``, ``retrained`` or ``unlearned``."""
        if self.method.name in NO_METHOD:
            return _view.ORIGINAL
        is_exact = self.method.kind(METHODS).per_mark
        return _view.RETRAINED if is_exact else _view.UNLEARNED

    @property
    def chain_key(self) -> str:
        """Key of the chain of requests that the cell serves; it must have a scenario."""
        assert self.scenario is not None
        return chain_key(self.dataset, self.scenario, self.seed)

    @property
    def label(self) -> str:
        """A short name for people, such as ``dunnhumby/sets2sets/scif/s2``."""
        what = self.method.title
        what += f"@{self.mark}" if self.mark else ""
        what += f"~{self.shadow.index}" if self.shadow else ""
        what += f"+{self.audit.name}" if self.audit else ""
        return f"{title(self.dataset)}/{self.model.name}/{what}/s{self.seed}"

    @property
    def kind(self) -> str:
        """What plans count it as: its method, ``shadow``, or its audit."""
        if self.audit:
            return self.audit.name
        return SHADOW if self.shadow else self.method.title

    @property
    def draws(self) -> int:
        """Root of all draws but those of the chain, which all shadow models share."""
        if self.shadow is None:
            return self.seed
        return seeds.derive(self.seed, SHADOW, self.shadow.index)

    def make_dataset(self) -> Dataset:
        """The dataset, ready to fetch and read."""
        return self.dataset.build(DATASETS)

    def make_model(self, shape: Shape) -> Model:
        """The model with tables of the given shape; weights still have to be set."""
        return self.model.build(MODELS, shape)

    def make_scenario(self) -> Scenario:
        """The scenario; the cell must have one."""
        assert self.scenario is not None
        return make_scenario(self.scenario, self.make_dataset().task)

    def make_method(self) -> Method:
        """The method; not for ``base`` and ``original``."""
        return self.method.build(METHODS)

    def make_audit(self) -> Audit:
        """The audit; the cell must have one."""
        assert self.audit is not None
        return self.audit.build(AUDITS)

    @property
    def _of_base(self) -> Part | None:
        """The scenario as the base model depends on it; None if it does not."""
        if self.scenario is None:
            return None
        kind = self.scenario.kind(SCENARIOS)
        settings = kind.base_settings(self.scenario.settings, MODELS.get(self.model.name).task)
        if settings is None:
            return None
        return self.scenario.model_copy(update={"settings": settings})

    def _further_identity(self) -> dict[str, Any]:
        """What most cells do not have."""
        found: dict[str, Any] = {} if self.limit_s is None else {"limit_s": self.limit_s}
        if self.shadow is not None:
            found["shadow"] = self.shadow.model_dump(mode="json")
        if self.audit is not None:
            found["audit"] = self.audit.identity(AUDITS)
        return found

    def _method_identity(self) -> dict[str, Any]:
        if self.method.name in NO_METHOD:
            return {"name": self.method.name}
        return self.method.identity(METHODS)


def title(dataset: Part) -> str:
    """What plans and logs call a dataset."""
    kind = DATASETS.get(dataset.name)
    return dataset.name if kind.title is Dataset.title else dataset.build(DATASETS).title


def data_key(dataset: Part) -> str:
    """Key of a prepared dataset: a hash of its settings, its version and its sources."""
    sources = [source.sha256 for source in DATASETS.get(dataset.name).sources]
    return _digest({"format": FORMAT, "dataset": dataset.identity(DATASETS), "sources": sources})


def chain_key(dataset: Part, scenario: Part, seed: int) -> str:
    """Key of a chain of requests: a hash of the data's key, the scenario and the seed."""
    identity = scenario.identity(SCENARIOS)
    return _digest({"data": data_key(dataset), "scenario": identity, "seed": seed})


def make_scenario(scenario: Part, task: str) -> Scenario:
    """The scenario for data of a task."""
    return scenario.build(SCENARIOS, task)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
