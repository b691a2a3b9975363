"""A user's own data and model as the setting of a cell, so that chains are served as in a grid."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from erase_ray.api._memory import memory_of
from erase_ray.api._table import OwnTable
from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.errors import SettingsError
from erase_ray.experiment import live
from erase_ray.experiment.cell import Cell, Part
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_cells import Trainings, chain_runner
from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.methods import METHODS, Method
from erase_ray.models import MODELS, Model, TrainingSettings
from erase_ray.scenarios import Chain, ChainView
from erase_ray.settings import checked
from erase_ray.training import train, training_edges

OWN = "own"
"""What stands for the name of the dataset."""


class Nowhere(Store):
    """The store of work that leaves nothing behind; any use of it fails."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True, eq=False)
class OwnSetting(Setting):
    """What a cell works on, given instead of loaded.

    Args:
        given: The requests.
        model: What fresh models are copies of.
    """

    given: Chain
    model: Model

    @classmethod
    def of(cls, cell: Cell, table: OwnTable, chain: Chain, model: Model) -> "OwnSetting":
        """The setting of ``cell`` on the device of ``model``."""
        labels = Catalogue(table.vocabulary.items, {})
        data = Prepared(OWN, table.task, table.interactions, table.split, table.vocabulary, labels)
        return cls(cell, data, device_of(model), Nowhere(), chain, model)

    @cached_property
    def view(self) -> ChainView:
        """The requests that were given, on all of the data."""
        return ChainView(self.data, self.given)

    def fresh_model(self) -> Model:
        """A copy; its weights are still to be set anew."""
        return copy.deepcopy(self.model)

    def starting_model(self, method: Method) -> Model:
        """What the chain begins with: the model itself, or what the method makes of fresh ones."""
        return self.with_edges(self.model) if method.needs_base else self.built_model(method)

    def with_edges(self, model: Model) -> Model:
        """The model, with the edges of all training rows if it reads any."""
        if model.has_edges:
            model.set_edges(*training_edges(self.interactions, self.split, self.device))
        return model

    def runner(self, model: Model) -> ChainRunner:
        """Who serves the requests."""
        return chain_runner(self, model, _Anew(self, live.Log(), Pace()))


class _Anew(Trainings):
    """Trains models for the method, with no place to keep an epoch."""

    def __call__(self, model: Model, left: Interactions) -> None:
        setting = self.setting
        training, draws = setting.cell.training, setting.cell.draws
        train(model, setting.task, left, setting.split, training, draws, setting.device)


def cell_of(
    model: Model,
    method: str,
    settings: dict | None,
    training: TrainingSettings | dict | None,
    seed: int,
    limit_s: float | None,
) -> Cell:
    """The cell that work on an own model stands for; it has no key.

    Raises:
        UnknownNameError: There is no such method.
        SettingsError: A setting is not known or out of range, or the method cannot serve the model.
    """
    part = Part.resolved(METHODS, method, settings or {})
    kind = part.kind(METHODS)
    _check_serves(kind, part.name, model)
    if not kind.needs_base and not kind.per_mark and model.name not in MODELS.names():
        raise SettingsError(
            f"method '{method}' builds models of its own by their name, and '{model.name}' is none "
            "of the benchmark; take retrain, or a method that edits the model"
        )
    return Cell(
        dataset=Part(name=OWN),
        model=Part(name=model.name),
        training=training_of(model, training),
        scenario=None,
        method=part,
        seed=seed,
        limit_s=limit_s,
    )


def training_of(model: Model, given: TrainingSettings | dict | None) -> TrainingSettings:
    """How a model is trained: as given, as it was trained, or as such models usually are.

    Raises:
        SettingsError: A setting is not known or out of range.
    """
    usual = memory_of(model).training or type(model).training
    if isinstance(given, TrainingSettings):
        return given
    return checked(TrainingSettings, usual.model_dump() | (given or {}), "training")


def device_of(model: Model) -> torch.device:
    """Where the weights are; the CPU for models without any."""
    tensors = [*model.parameters(), *model.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def _check_serves(kind: type[Method], name: str, model: Model) -> None:
    fits: Callable[[type[Method]], bool] = (
        (lambda one: one.serves_learning) if model.learns else (lambda one: one.serves_baselines)
    )
    if fits(kind):
        return
    others = ", ".join(each for each in METHODS.names() if fits(METHODS.get(each)))
    how = "gradients" if model.learns else "counting"
    raise SettingsError(
        f"method '{name}' cannot serve '{model.name}', which learns by {how}; take one of {others}"
    )
