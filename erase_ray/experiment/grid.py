"""Axes of a YAML file that expand to cells."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from erase_ray.audits import AUDITS
from erase_ray.datasets import DATASETS
from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment._hints import hint
from erase_ray.experiment.cell import Cell, Part
from erase_ray.experiment.grid_file import Block, Choice, parse_grid, read_grid
from erase_ray.experiment.outside import REGISTRIES
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.results import ORIGINAL
from erase_ray.experiment.select import select
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.models._presets import preset
from erase_ray.registry import Registry
from erase_ray.scenarios import SCENARIOS
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.settings import checked


@dataclass(frozen=True)
class Grid:
    """The cells that were asked for, and the machine that the plan reckons with."""

    cells: list[Cell]
    machine: Machine


def load_grid(path: Path, only: str = "", assignments: list[str] | None = None) -> Grid:
    """The grid of a YAML file.

    Args:
        path: The file.
        only: ``key=value,...``; keeps the cells that match, see :mod:`.select`.
        assignments: ``key=value`` each; they change the file's content before it is expanded.

    Raises:
        SettingsError: An unknown key in the file, in ``only`` or in an assignment.
        GridError: Parts that do not exist or settings that they refuse, all in one message.
    """
    blocks, machine = read_grid(path, assignments or [])
    return Grid(select(expand(blocks), only), machine)


def given_grid(
    content: dict[str, Any], only: str = "", assignments: list[str] | None = None
) -> Grid:
    """The grid of what a YAML file might hold; the same arguments and errors otherwise."""
    blocks, machine = parse_grid(content, "the grid", assignments or [])
    return Grid(select(expand(blocks), only), machine)


def load_cells(path: Path, only: str = "", assignments: list[str] | None = None) -> list[Cell]:
    """The cells of :func:`load_grid`."""
    return load_grid(path, only, assignments).cells


def expand(blocks: list[Block]) -> list[Cell]:
    """One cell for each combination of dataset, model, seed, scenario and method of one task.

    A method that gets merged requests gives one cell a mark.

    Raises:
        GridError: Parts that do not exist, settings they refuse, or parts that no combination
            uses; all in one message.
    """
    faults = _Faults()
    axes = [_Axes.resolve(block, faults) for block in blocks]
    faults.report()
    for axis in axes:
        _note_unserved(axis, faults)
    pairs = [_pairs(axis, faults) for axis in axes]
    faults.report()
    return [cell for axis, some in zip(axes, pairs, strict=True) for cell in _combine(axis, some)]


@dataclass
class _Faults:
    """Collects what is wrong, and remembers parts that were looked at already."""

    unknown: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    seen: dict[tuple[str, str, str], Part | None] = field(default_factory=dict)

    def part(self, registry: Registry[Any], choice: Choice) -> Part | None:
        """The part with its settings, or None after noting why there is none."""
        key = (registry.kind, choice.name, json.dumps(choice.settings, sort_keys=True, default=str))
        if key not in self.seen:
            self.seen[key] = self._resolve(registry, choice)
        return self.seen[key]

    def _resolve(self, registry: Registry[Any], choice: Choice) -> Part | None:
        names = self.unknown.setdefault(registry.kind, [])
        if choice.name not in registry.names():
            if choice.name not in names:
                names.append(choice.name)
            return None
        try:
            return Part.resolved(registry, choice.name, choice.settings)
        except SettingsError as error:
            self.note(str(error))
            return None

    def note(self, text: str) -> None:
        """Remember a fault, once."""
        if text not in self.others:
            self.others.append(text)

    def report(self) -> None:
        """Raise if anything is wrong."""
        texts = []
        for registry in REGISTRIES:
            names = self.unknown.get(registry.kind)
            if names:
                texts.append(_unknown(registry, names))
        if texts or self.others:
            raise GridError("; ".join([*texts, *self.others]))


def _unknown(registry: Registry[Any], names: list[str]) -> str:
    known = [ORIGINAL] * (registry is METHODS) + registry.names()
    hinted = ", ".join(f"'{name}'{hint(name, known)}" for name in names)
    return f"no {registry.kind} is called {hinted}. Known: {', '.join(known) or 'none'}"


@dataclass(frozen=True)
class _Axes:
    """A block whose names are resolved; tasks are None where a part has a fault."""

    datasets: list[tuple[Part, str]]
    models: list[tuple[Part, TrainingSettings, str]]
    scenarios: list[Part]
    methods: list[tuple[Part, tuple[int | None, ...]]]
    audits: list[Part]
    seeds: list[int]
    limit_s: float | None
    where_fitting: frozenset[str]
    """Methods that are left out for models that they do not serve."""

    @classmethod
    def resolve(cls, block: Block, faults: _Faults) -> "_Axes":
        datasets = [faults.part(DATASETS, choice) for choice in block.datasets]
        models = [_model(choice, block, faults) for choice in block.models]
        scenarios = [faults.part(SCENARIOS, _batched(c, block)) for c in block.scenarios]
        methods = [_method(choice, faults) for choice in block.methods]
        return cls(
            [(part, part.build(DATASETS).task) for part in datasets if part],
            [model for model in models if model],
            [part for part in scenarios if part],
            [method for method in methods if method],
            [part for choice in block.audits if (part := faults.part(AUDITS, choice))],
            block.seeds,
            block.limit_s,
            frozenset(choice.name for choice in block.methods if choice.where_fitting),
        )


def _batched(scenario: Choice, block: Block) -> Choice:
    if block.batch is None:
        return scenario
    return scenario.model_copy(update={"settings": scenario.settings | {"batch": block.batch}})


def _method(choice: Choice, faults: _Faults) -> tuple[Part, tuple[int | None, ...]] | None:
    if choice.name == ORIGINAL:
        if choice.settings:
            faults.note(f"'{ORIGINAL}' has no settings, got {choice.settings}")
        return Part(name=ORIGINAL), (None,)
    part = faults.part(METHODS, choice)
    if part is None:
        return None
    per_mark = part.kind(METHODS).per_mark
    return part, tuple(range(1, NUM_MARKS + 1)) if per_mark else (None,)


def _model(
    choice: Choice, block: Block, faults: _Faults
) -> tuple[Part, TrainingSettings, str] | None:
    try:
        chosen = preset(block.preset, choice.name)
    except SettingsError as error:
        faults.note(str(error))
        return None
    settings = chosen.settings | choice.settings
    part = faults.part(MODELS, Choice(name=choice.name, settings=settings))
    if choice.name not in MODELS.names():
        return None
    kind = MODELS.get(choice.name)
    try:
        values = kind.training.model_dump() | chosen.training | block.training
        training = checked(TrainingSettings, values, "training")
    except SettingsError as error:
        faults.note(str(error))
        return None
    return (part, training, kind.task) if part else None


def _note_unserved(axes: _Axes, faults: _Faults) -> None:
    """Note the models that a method was asked to serve and cannot."""
    asked = [part.name for part, _ in axes.methods if part.name not in axes.where_fitting]
    models = [part.name for part, *_ in axes.models]
    counted = [name for name in models if not MODELS.get(name).learns]
    trained = [name for name in models if MODELS.get(name).learns]
    editing = [name for name in asked if any(not _fits(name, model) for model in counted)]
    counting = [name for name in asked if any(not _fits(name, model) for model in trained)]
    if editing:
        others = [name for name in METHODS.names() if METHODS.get(name).serves_baselines]
        faults.note(
            f"no weights to forget from in {', '.join(counted)}: put baselines into a block whose "
            f"methods are among {', '.join([ORIGINAL, *others])}, without {', '.join(editing)}"
        )
    if counted and axes.audits:
        faults.note(
            f"{', '.join(counted)} learn by counting, and audits need models that learn by "
            "gradients: put them into a block without audits"
        )
    if counting:
        faults.note(
            f"{', '.join(counting)} cannot serve {', '.join(trained)}, which learn by gradients: "
            "put them into a block without it"
        )


_Pair = tuple[Part, Part, TrainingSettings]


def _pairs(axes: _Axes, faults: _Faults) -> list[_Pair]:
    found = [
        (dataset, model, training)
        for dataset, task in axes.datasets
        for model, training, reads in axes.models
        if task == reads
    ]
    used_datasets, used_models = {id(d) for d, _, _ in found}, {id(m) for _, m, _ in found}
    for dataset, task in axes.datasets:
        if id(dataset) not in used_datasets:
            faults.note(f"dataset '{dataset.name}' is {task}, and no model of its block is")
    for model, _, task in axes.models:
        if id(model) not in used_models:
            faults.note(f"model '{model.name}' is {task}, and no dataset of its block is")
    return found


def _combine(axes: _Axes, pairs: list[_Pair]) -> list[Cell]:
    found = []
    for dataset, model, training in pairs:
        for seed in axes.seeds:
            for scenario in axes.scenarios:
                for method, marks in axes.methods:
                    if method.name in axes.where_fitting and not _fits(method.name, model.name):
                        continue
                    first = Cell(
                        dataset=dataset,
                        model=model,
                        training=training,
                        scenario=scenario,
                        method=method,
                        seed=seed,
                        limit_s=_limit(method, marks, axes),
                    )
                    found += [first.model_copy(update={"mark": mark}) for mark in marks]
                    found += [first.model_copy(update={"audit": part}) for part in axes.audits]
    return found


def _limit(method: Part, marks: tuple[int | None, ...], axes: _Axes) -> float | None:
    return axes.limit_s if marks == (None,) and method.name != ORIGINAL else None


def _fits(method: str, model: str) -> bool:
    if method == ORIGINAL:
        return True
    kind = METHODS.get(method)
    return kind.serves_learning if MODELS.get(model).learns else kind.serves_baselines
