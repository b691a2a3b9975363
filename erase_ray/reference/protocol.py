"""The published protocol: what is trained on, asked and reported, defect by defect."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.runs import run_starts
from erase_ray.data.split import Part, Split
from erase_ray.metrics import Measured
from erase_ray.models import Model
from erase_ray.models._graph_model import GraphModel
from erase_ray.reference.basket_codes import CodedTask, first_rows
from erase_ray.reference.defects import BASKETS
from erase_ray.reference.tied_best import DECIMALS, TiedBest
from erase_ray.scenarios import ChainView
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.scenarios._view import ANY, ORIGINAL, RETRAINED, UNLEARNED, Lesson, Moment
from erase_ray.tasks import TASKS, Cut, Queries, Task
from erase_ray.tasks._arrays import find
from erase_ray.tasks.next_basket import Baskets

FEWEST_BASKETS = 4
"""Baskets that a person has in the published next-basket data."""


@dataclass(frozen=True, eq=False)
class ReferenceView(ChainView):
    """The corrected protocol, less what some defects make of it; with none it is the same.

    Args:
        defects: Names of :data:`erase_ray.reference.defects.DEFECTS`.
    """

    defects: frozenset[str] = frozenset()

    @cached_property
    def task(self) -> Task:
        """How rows are read for the base model, and by methods."""
        return self._task_of(self.interactions)

    @cached_property
    def split(self) -> Split:
        """The mark of every row; with ``split_fakes`` those of fakes are cut like all others."""
        if "split_fakes" in self.defects:
            return self._plain.split(self.interactions)
        return super().split

    @property
    def grouped(self) -> Interactions:
        """The table that groups are made from; it has every row that may be asked for."""
        moved = {"resplit", "split_fakes", "uncleaned_baskets"}
        return self.interactions if moved & self.defects else self.cleaned

    @property
    def best(self) -> Callable[[Model], TiedBest] | None:
        """Makes what picks the best epoch of a training; None for the usual."""
        return TiedBest if "tied_early_stopping" in self.defects else None

    @property
    def leaks_edges(self) -> bool:
        """Whether models that forget read the edges of all rows, and keep the forgotten ones."""
        return "leaking_graph" in self.defects

    def lesson(self, left: Interactions) -> Lesson:
        """What a model is trained on when the rows ``left`` should be left."""
        table = self._rebuilt(left)
        return Lesson(self._task_of(table), table, self._split_of(table))

    def moment(self, model: str, mark: int) -> Moment:
        """The moment itself: every model may be asked something else at every mark."""
        return Moment(model, mark) if self.defects else ANY

    def test_queries(self, cut: Cut, moment: Moment = ANY) -> Queries:
        """The test rows of the table that the model is tested on at a mark."""
        if "uncleaned_baskets" in self.defects and moment.model == UNLEARNED:
            queries = self.task.queries(self.interactions, self.split, Part.TEST, cut)
            baskets = Baskets.of(self.interactions)
            row_G = baskets.table.row
            number_Q = np.searchsorted(row_G[baskets.starts], queries.inputs.rows.cpu().numpy())
            first_Q = row_G[first_rows(baskets)[number_Q]]
            served = self.chain.rows(self.chain.marks[moment.mark - 1])
            return queries.pick(np.flatnonzero(~np.isin(first_Q, served)))
        task, table, split = self._tested(moment)
        return task.queries(table, split, Part.TEST, cut)

    def probe_queries(self, cut: Cut, moment: Moment = ANY) -> Queries:
        """One query for each person to probe, over what the model is shown of the history."""
        is_full = "uncleaned_probes" in self.defects and moment.model != RETRAINED
        table = self.interactions if is_full else self.cleaned
        task, users = self._task_at(moment), self._probed(moment.model)
        if "last_row_probes" in self.defects:
            return _last_asked(
                task.queries(table, self._split_of(table), Part.TEST, cut), table, users
            )
        queries = task.probe(table, self.split, users, cut)
        if "unmasked_probes" in self.defects:
            return replace(queries, masked=Csr.empty(len(queries)))
        return queries

    def probed_at(self, model: str, mark: int) -> np.ndarray:
        """Those of the people who are probed who count at a mark."""
        if self._asks_everybody(model):
            return self._probed(model)
        return self.chain.probed_at(mark)

    def probed_with(self, model: str, mark: int, asked: Any) -> tuple[int, ...]:
        """The marks whose probes are answered by the model ``asked`` as it is at ``mark``."""
        is_stale = "stale_embeddings" in self.defects and isinstance(asked, GraphModel)
        if not is_stale or model != UNLEARNED:
            return (mark,)
        return tuple(range(1, NUM_MARKS + 1)) if mark == NUM_MARKS else ()

    def reported(self, asks: str, found: list[Measured]) -> list[Measured]:
        """What was measured, rounded if it is of test queries."""
        if "rounding" not in self.defects or asks != "test":
            return found
        return [replace(one, value=round(one.value, DECIMALS)) for one in found]

    def _tested(self, moment: Moment) -> Lesson:
        """What a model is tested on: how rows are read, the table and its split."""
        if not {"resplit", "split_fakes"} & self.defects:
            return Lesson(self._task_at(moment), self.cleaned, self.split)
        if moment.model == ORIGINAL:
            return Lesson(self.task, self.interactions, self.split)
        if moment.model == RETRAINED:
            return self.lesson(self._left(moment.mark))
        left = self._left(moment.mark)
        return Lesson(self.task, left, self._split_of(left))

    def _task_at(self, moment: Moment) -> Task:
        """How rows are read for a model: as when it was trained."""
        if moment.model == RETRAINED and isinstance(self.task, CodedTask):
            return self._task_of(self._rebuilt(self._left(moment.mark)))
        return self.task

    def _task_of(self, table: Interactions) -> Task:
        recodes, forgets = (name in self.defects for name in ("recoded_lengths", "first_items"))
        return CodedTask(table, recodes, forgets) if recodes or forgets else self._plain

    @property
    def _plain(self) -> Task:
        return TASKS.get(self.data.task)()

    def _left(self, mark: int) -> Interactions:
        return self.interactions.without(self.chain.rows(self.chain.marks[mark - 1]))

    def _rebuilt(self, left: Interactions) -> Interactions:
        """The data that the published code makes where it should make ``left``."""
        if "spam_not_removed" in self.defects:
            return self.interactions
        is_new = len(left) < len(self.interactions) and "resplit" in self.defects
        return _with_baskets(left) if is_new and self.data.task == BASKETS else left

    def _split_of(self, table: Interactions) -> Split:
        """The marks of the rows of a table that is split by itself; fakes are train, usually."""
        if "resplit" not in self.defects:
            return self.split
        has_parts_R = table.row < len(self.data.interactions)
        if "split_fakes" in self.defects:
            has_parts_R[:] = True
        own = table.only(table.row[has_parts_R])
        marks_R = self.split.marks.copy()
        marks_R[own.row] = self._plain.split(own).marks
        return Split(marks_R)

    def _asks_everybody(self, model: str) -> bool:
        return "original_on_everybody" in self.defects and model == ORIGINAL

    def _probed(self, model: str) -> np.ndarray:
        if self._asks_everybody(model):
            return np.arange(self.data.interactions.num_users)
        return self.chain.probe


def _with_baskets(table: Interactions) -> Interactions:
    """The rows of people with four baskets or more."""
    starts = run_starts(table.sequence, table.step)
    num_U = np.bincount(table.user[starts], minlength=table.num_users)
    return table.only(table.row[num_U[table.user] >= FEWEST_BASKETS])


def _last_asked(queries: Queries, table: Interactions, users: np.ndarray) -> Queries:
    """Of the queries of each of ``users`` the latest, without what would be right."""
    row_Q = np.searchsorted(table.row, queries.inputs.rows.cpu().numpy())
    latest_first = np.lexsort((row_Q, table.time[row_Q]))[::-1]
    known, place = np.unique(queries.users[latest_first], return_index=True)
    last = queries.pick(latest_first[place[find(users, known)[1]]])
    return replace(last, relevant=Csr.empty(len(last)))
