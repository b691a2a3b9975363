"""Train a model of the benchmark on a data frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from erase_ray.api._memory import Memory, memory_of, remember
from erase_ray.api._setting import training_of
from erase_ray.api._table import RULES, Marks, OwnTable, table_of
from erase_ray.api.answering import Answering
from erase_ray.api.progress import Progress, Reporter
from erase_ray.errors import SettingsError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.plain_weights import read_plain, write_plain
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.tasks import TASKS
from erase_ray.training import TrainingRecord, train


@dataclass(frozen=True, eq=False)
class Fitted(Answering):
    """A trained model, with the data that it was trained on.

    Args:
        model: With the best weights; it knows the outer ids.
        table: The data.
        record: Losses, validation curve, best epoch and seconds.
    """

    model: Model
    table: OwnTable
    record: TrainingRecord

    def save(self, folder: str | Path) -> Path:
        """Write the weights as a folder that :func:`erase_ray.load_model` reads.

        Raises:
            StoreError: The folder exists or cannot be written.
        """
        model, memory = self.model, memory_of(self.model)
        settings = model.settings.model_dump(mode="json")
        outer = {"user": self.vocabulary.users, "item": self.vocabulary.items}
        state, source = model.state_dict(), memory.source
        return write_plain(Path(folder), model.name, settings, model.shape, state, source, outer)


def fit(
    interactions: pd.DataFrame,
    model: str = "bpr",
    *,
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    training: TrainingSettings | Mapping[str, Any] | None = None,
    split: Marks = "task",
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Progress = None,
) -> Fitted:
    """Train a model of the benchmark on a data frame.

    Example::

        >>> import erase_ray, pandas as pd
        >>> frame = pd.DataFrame({
        ...     "user": [u for u in "abcdefgh" for _ in range(6)],
        ...     "item": [f"i{(3 * u + n) % 12}" for u in range(8) for n in range(6)],
        ... })
        >>> fitted = erase_ray.fit(frame, "bpr", training={"epochs": 3}, progress=False)
        >>> fitted.record.epochs
        3
        >>> len(fitted.recommend(["a"], k=2))
        2

    Args:
        interactions: One row an interaction, see :func:`erase_ray.unlearn`.
        model: Name of the model, see ``docs/models.md``.
        task: The task of the model, to make sure.
        columns: Names of columns by what they are for, where they differ.
        settings: Of the model.
        training: What differs from the benchmark's settings: ``{"epochs": 20}``.
        split: Which rows to train on: ``task`` (the latest rows are held out, for early stopping
            and :func:`erase_ray.evaluate`), ``all``, or a column (or list) of ``train``,
            ``valid`` and ``test``.
        seed: Root of all draws.
        device: A GPU where there is one, by default.
        progress: True for a line, None for one where somebody sees it, or a function that is
            given a :class:`erase_ray.Step` after each epoch.

    Raises:
        UnknownNameError: There is no such model.
        SettingsError: Settings are not known or out of range, or the model is for another task.
        DataError: The frame lacks a column or has missing ids.
        TrainingError: There is nothing to train on, or the loss is not finite.
    """
    part = Part.resolved(MODELS, model, dict(settings or {}))
    kind = MODELS.get(model)
    if task not in (None, kind.task):
        raise SettingsError(f"model '{model}' is for task '{kind.task}', not for '{task}'")
    table = table_of(interactions, kind.task, columns or {}, split)
    shape = Shape(table.interactions.num_users, table.interactions.num_items)
    made: Model = part.build(MODELS, shape)
    chosen = training_of(made, dict(training) if isinstance(training, Mapping) else training)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    told = Reporter(chosen.epochs, f"fit {model}", progress)

    def on_epoch(epoch: int, loss: float, value: float | None) -> None:
        valid = "" if value is None else f", valid {value:.4f}"
        told(f"epoch {epoch}", "epoch", f"loss {loss:.4f}{valid}")

    ending = "stopped"
    try:
        rows, marks = table.interactions, table.split
        record = train(made, TASKS.get(kind.task)(), rows, marks, chosen, seed, place, on_epoch)
        ending = f"best epoch {record.best_epoch}, {record.seconds:.1f} s"
    finally:
        told.close(ending)
    names = table.vocabulary
    source: dict[str, Any] = {"fitted_on": f"a frame of {len(interactions)} rows", "seed": seed}
    source |= {"split": split} if isinstance(split, str) and split in RULES else {}
    remember(made, Memory(names.users, names.items, chosen, split, columns or {}, source))
    return Fitted(made, table, record)


def load_model(folder: str | Path) -> Model:
    """The model in a folder of plain weights, on the CPU, with the outer ids that are there.

    Such folders are written by ``save`` of a fitted or unlearned model, by ``erase-ray export``
    and by ``erase-ray import``.

    Raises:
        StoreError: The folder is damaged, or its weights do not fit the model.
    """
    plain = read_plain(Path(folder))
    outer = plain.vocabulary or {}
    source = plain.facts.source
    split = source.get("split", "task" if "cell" in source else "all")
    memory = Memory(outer.get("user"), outer.get("item"), None, split, source=source)
    return remember(plain.build(), memory)
