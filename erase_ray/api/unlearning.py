"""Forget rows of a data frame in a trained model."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.api import _rows
from erase_ray.api._checks import check_answers, check_shape, check_task, knows_users
from erase_ray.api._losses import Losses, Meter
from erase_ray.api._memory import Memory, forgetful_copy, memory_of, numbers, remember
from erase_ray.api._rows import Order, Rows
from erase_ray.api._setting import OwnSetting, cell_of
from erase_ray.api._table import Marks, OwnTable, marks_of, table_of
from erase_ray.api.answering import Answering
from erase_ray.api.fitting import Fitted
from erase_ray.api.progress import Progress, Reporter
from erase_ray.data.names import Names
from erase_ray.errors import DataError, SettingsError
from erase_ray.evaluation import evaluating
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.plain_weights import write_plain
from erase_ray.methods import Method
from erase_ray.models import MODELS, Model, TrainingSettings
from erase_ray.report.picking import pick

OUTCOMES = (
    "request",
    "user",
    "num_rows",
    "status",
    "reason",
    "num_forget",
    "num_cleaned",
    "num_gradients",
    "num_hvps",
    "step_norm",
    "seconds",
    "details",
)
"""Columns of :attr:`Unlearned.outcomes`."""


@dataclass(frozen=True, eq=False)
class Unlearned(Answering):
    """A model that has forgotten, and how it went.

    Args:
        model: With the weights after all requests, in the mode that the given one was in.
        table: The data without the forgotten rows.
        outcomes: One row a request, in the order in which they were served; ``user`` is the outer
            id of the person as text (empty where a request names rows of several), ``details`` a
            dictionary, ``seconds`` what the method took.
        loss_before: Mean losses before the first request.
        loss_after: Mean losses after the last one.
        method: Name of the method, with its edition.
    """

    model: Model
    table: OwnTable
    outcomes: pd.DataFrame
    loss_before: Losses
    loss_after: Losses
    method: str

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, seconds and losses; ``statuses`` are the requests by what became of them."""
        counts = dict(sorted(Counter(self.outcomes["status"].tolist()).items()))
        return {
            "method": self.method,
            "model": self.model.name,
            "requests": len(self.outcomes),
            "applied": counts.get("applied", 0),
            "statuses": counts,
            "rows": sum(self.outcomes["num_rows"].tolist()),
            "examples": sum(self.outcomes["num_forget"].tolist()),
            "seconds": sum(self.outcomes["seconds"].tolist()),
            "loss_of_forgotten": (self.loss_before.forgotten, self.loss_after.forgotten),
            "loss_of_others": (self.loss_before.others, self.loss_after.others),
        }

    def save(self, folder: str | Path) -> Path:
        """Write the weights as a folder that :func:`erase_ray.load_model` reads.

        Raises:
            StoreError: The folder exists or cannot be written.
            SettingsError: The model is none of ours, so nobody could build it again.
        """
        model = self.model
        if model.name not in MODELS.names() or type(model) is not MODELS.get(model.name):
            raise SettingsError(
                f"'{model.name}' is no model of the benchmark; save it with torch.save, a wrapped "
                "one by model.module.state_dict()"
            )
        memory = memory_of(model)
        outer = {"user": memory.users, "item": memory.items}
        return write_plain(
            Path(folder),
            model.name,
            model.settings.model_dump(mode="json"),
            model.shape,
            model.state_dict(),
            {"unlearned_by": self.method, "from": memory.source} | _plain(self.summary),
            {kind: names for kind, names in outer.items() if names is not None},
        )

    def _repr_html_(self) -> str:
        told = pd.DataFrame({"": {key: str(value) for key, value in self.summary.items()}})
        return told.to_html(header=False)


def unlearn(
    model: "Model | Fitted | Unlearned",
    interactions: pd.DataFrame,
    rows: Rows = None,
    method: str = "scif",
    *,
    requests: Sequence[Rows] | None = None,
    settings: Mapping[str, Any] | None = None,
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    users: Sequence[Any] | None = None,
    items: Sequence[Any] | None = None,
    split: Marks = None,
    training: TrainingSettings | Mapping[str, Any] | None = None,
    order: Order = "id",
    seed: int = 0,
    limit_s: float | None = None,
    copy: bool = True,
    progress: Progress = None,
) -> Unlearned:
    """Let a method of the benchmark forget rows of a data frame in a trained model.

    The requests are served one after the other by the code that serves them in a grid: on equal
    data, weights, settings and seed the result is that of the cell, bit by bit.

    Example::

        >>> import erase_ray, pandas as pd
        >>> frame = pd.DataFrame({
        ...     "user": [u for u in "abcdefgh" for _ in range(6)],
        ...     "item": [f"i{(3 * u + n) % 12}" for u in range(8) for n in range(6)],
        ... })
        >>> fitted = erase_ray.fit(frame, "bpr", training={"epochs": 3}, progress=False)
        >>> gone = erase_ray.unlearn(fitted, frame, frame["item"] == "i3", "finetune")
        >>> gone.outcomes["status"].tolist()[0]
        'applied'
        >>> "i3" in set(gone.frame["item"])
        False

    Args:
        model: Trained: from :func:`erase_ray.fit`, :func:`erase_ray.load_model` or
            :func:`erase_ray.wrap`, or one of our models with weights of yours; or what this
            function returned, to go on with its ``frame``.
        interactions: What it was trained on, one row an interaction: columns ``user``, ``item``,
            ``time`` (optional: the order of the frame), ``session`` for session-based models,
            ``basket`` for next-basket ones (optional: a day is a basket). Rows that say the same
            are one, and are forgotten together.
        rows: What to forget: a mask of bools, labels of the index (positions where the index has
            no integers), or a part of the frame. One request a person.
        method: Name of the method, see ``docs/methods.md``.
        requests: Instead of ``rows``: what each request is to forget, in this order.
        settings: Of the method; ``{"edition": "reference"}`` takes the published behaviour.
        task: The task of the model, to make sure.
        columns: Names of columns by what they are for, where they differ:
            ``{"user": "visitor", "time": "clicked_at"}``.
        users: Outer id of each row of the model's user tables, where the model does not know; then
            without ``users`` the frame has to number them 0 to n-1.
        items: The same for items.
        split: Which rows the model was trained on: ``all``, ``task`` (80 % of each user or
            session, or all but the last two baskets), or a column (or list) of ``train``,
            ``valid`` and ``test``. As the model was fitted by default; ``all`` if nobody knows.
        training: How to train, for methods that do; as the model was trained by default.
        order: When each person is served: ``id``, ``time`` (of the latest row to forget), ``seed``.
        seed: Root of all draws.
        limit_s: Seconds one request may take.
        copy: False to change the given model itself.
        progress: True for a line, None for one where somebody sees it, or a function that is
            given a :class:`erase_ray.Step` after each request.

    Raises:
        UnknownNameError: There is no such method or task.
        SettingsError: Settings are not known or out of range, the model is for another task, gives
            losses or scores of the wrong shape, or cannot be served by this method.
        DataError: Rows are not in the frame or in two requests, the frame lacks a column, has
            missing ids, or has ids that the model does not know.
    """
    base = model.model if isinstance(model, Fitted | Unlearned) else model
    if not isinstance(base, Model):
        raise SettingsError(
            f"model must be one of ours, got {type(base).__name__}; a torch module of your own "
            "goes through erase_ray.wrap"
        )
    cell = cell_of(base, method, dict(settings or {}), _training(training), seed, limit_s)
    known = _memory(base, users, items)
    marks = known.split if split is None else split
    known = replace(known, columns=known.columns if columns is None else columns)
    table = table_of(interactions, check_task(base, task), known.columns, marks, known)
    check_shape(base, table)
    chain = _rows.chain_of(table, _wishes(interactions, rows, requests), order, seed)
    served = remember(forgetful_copy(base) if copy else base, known)
    setting = OwnSetting.of(cell, table, chain, served)
    return _Job(setting, table, cell.make_method(), cell.method.title).run(progress, copy)


@dataclass(eq=False)
class _Job:
    """A chain of requests on one model."""

    setting: OwnSetting
    table: OwnTable
    method: Method
    title: str

    def run(self, progress: Progress, copy: bool) -> Unlearned:
        """Serve them all."""
        setting = self.setting
        given = setting.starting_model(self.method)
        if given is not setting.model:
            setting.with_edges(setting.model)
        modes = {name: module.training for name, module in setting.model.named_modules()}
        runner = setting.runner(given.train())
        with evaluating(setting.model):
            check_answers(setting.model, runner.world.examples)
        meter = Meter(runner, setting.chain)
        before = meter.losses(setting.model)
        self._serve(runner, progress)
        after = meter.losses(given)
        left = _without(self.table, setting.chain.rows())
        memory = replace(memory_of(setting.model), split=marks_of(left))
        model = remember(self._delivered(given, left, copy), memory)
        for name, module in model.named_modules():
            setattr(module, "training", modes.get(name, modes[""]))  # noqa: B010
        return Unlearned(
            model=model,
            table=left,
            outcomes=_outcomes(runner, self.table),
            loss_before=before,
            loss_after=after,
            method=self.title,
        )

    def _serve(self, runner: ChainRunner, progress: Progress) -> None:
        chain = self.setting.chain
        total = 1 if self.method.per_mark else len(chain)
        told = Reporter(total, f"unlearn with {self.title}", progress)
        ending = "stopped"
        try:
            runner.begin()
            if self.method.per_mark:
                runner.serve_merged(chain.merged(len(chain.marks)), len(chain.marks))
                self._tell(told, runner)
            else:
                runner.serve(chain.requests, _nothing, lambda _: self._tell(told, runner))
            ending = f"{sum(r['status'] == 'applied' for r in runner.records)} applied"
        finally:
            told.close(ending)

    def _tell(self, told: Reporter, runner: ChainRunner) -> None:
        last = runner.records[-1]
        told(f"request {last['request']}", last["status"], last["reason"])

    def _delivered(self, served: Model, left: OwnTable, copy: bool) -> Model:
        """The model that was served; with ``copy=False`` in the one that was given."""
        given = self.setting.model
        if served is given or copy:
            return served
        if type(served) is not type(given):
            raise SettingsError(
                f"method '{self.title}' makes a model of another kind; leave copy=False out"
            )
        given.load_state_dict(served.state_dict())
        return OwnSetting.of(self.setting.cell, left, self.setting.chain, given).with_edges(given)


def _nothing(mark: int) -> None:
    """What a mark asks for here."""


def _training(given: TrainingSettings | Mapping[str, Any] | None) -> Any:
    return dict(given) if isinstance(given, Mapping) else given


def _memory(model: Model, users: Sequence[Any] | None, items: Sequence[Any] | None) -> Memory:
    """What is known of the model, ids that are given first."""
    memory = memory_of(model)
    sizes = {"user": model.shape.num_users, "item": model.shape.num_items}
    for what, given in (("user", users), ("item", items)):
        if given is not None and len(given) != sizes[what]:
            raise DataError(
                f"{what}s has {len(given)} ids, model '{model.name}' has tables for {sizes[what]}"
            )
    outer_users = _outer(users, memory.users, sizes["user"])
    return Memory(
        outer_users if knows_users(model) else None,
        _outer(items, memory.items, sizes["item"]),
        memory.training,
        memory.split,
        memory.columns,
        memory.source,
    )


def _outer(given: Sequence[Any] | None, known: Names | None, size: int) -> Names:
    if given is not None:
        return Names.of([str(each) for each in given])
    return numbers(size) if known is None else known


def _wishes(frame: pd.DataFrame, rows: Rows, requests: Sequence[Rows] | None) -> Any:
    if (rows is None) == (requests is None):
        raise DataError("give either rows or requests: what is to be forgotten")
    if requests is None:
        return _rows.positions_of(frame, rows)
    return [_rows.positions_of(frame, one) for one in requests]


def _without(table: OwnTable, rows: np.ndarray) -> OwnTable:
    left_F = ~np.isin(table.row_F, rows)
    return OwnTable(
        pick(table.frame, left_F),
        table.interactions.without(rows),
        table.split,
        table.vocabulary,
        table.row_F[left_F],
        table.task,
    )


def _outcomes(runner: ChainRunner, table: OwnTable) -> pd.DataFrame:
    frame = runner.frame()
    users = frame["user"].tolist()
    frame["user"] = ["" if user < 0 else table.vocabulary.users[user] for user in users]
    frame["seconds"] = frame["seconds_data"] + frame["seconds_algorithm"]
    frame["details"] = [json.loads(text) for text in frame["details"]]
    return frame.reindex(columns=list(OUTCOMES))


def _plain(summary: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: plain(value) for key, value in summary.items()}
