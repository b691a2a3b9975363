"""Ask a model everything that is measured at a mark, and turn the answers into rows."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, groupby
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.evaluation import measure, rank_all
from erase_ray.experiment.answers import KS, metrics, population_of
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.results import RANKED, RESULTS
from erase_ray.experiment.setting import Setting, queries_hash
from erase_ray.metrics import Aggregate, Answers, Measured, Metric, Population
from erase_ray.models import Model
from erase_ray.scenarios._base import NUM_MARKS


@dataclass(eq=False)
class Measurements:
    """Collects result rows and ranked lists while a cell passes its marks."""

    setting: Setting
    model: Model
    results: list[dict[str, Any]] = field(default_factory=list)
    ranked: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._turn_to(self.setting.cell.mark or NUM_MARKS)

    def take(self, *marks: int) -> None:
        """Measure the model as it is now, and write it down for each of ``marks``."""
        for _, alike in groupby(marks, self.setting.moment):
            self._take(tuple(alike))

    def _turn_to(self, mark: int) -> None:
        """Have the questions of a mark ready."""
        self._moment = self.setting.moment(mark)
        self.questions = {
            "test": self.setting.test_queries(self.model, mark),
            "probe": self.setting.probe_queries(self.model, mark),
        }
        self.test_hash = queries_hash(self.questions["test"])
        self.probe_hash = queries_hash(self.questions["probe"])

    def _take(self, marks: tuple[int, ...]) -> None:
        """The same for marks at which the same is asked."""
        if self.setting.moment(marks[0]) != self._moment:
            self._turn_to(marks[0])
        tested = self._asked("test", [self.setting.chain.items])[0]
        found = measure(tested, self._metrics["test"], KS, self._population)
        due = [self._probed_with(mark) for mark in marks]
        wanted = tuple(chain.from_iterable(due))
        probed = iter(self._probed(wanted) if wanted else [])
        for mark, others in zip(marks, due, strict=True):
            self._keep(mark, "test", tested)
            self._write(mark, self.test_hash, "test", found)
            for other in others:
                self._write_probed(other, next(probed))

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The results and the ranked lists so far."""
        ranked = pd.concat(self.ranked) if self.ranked else pd.DataFrame(columns=list(RANKED))
        return pd.DataFrame(self.results, columns=list(RESULTS)), ranked

    @cached_property
    def _metrics(self) -> dict[str, list[Metric | Aggregate]]:
        return {asks: metrics(asks) for asks in self.questions}

    @cached_property
    def _population(self) -> Population:
        setting = self.setting
        return population_of(setting.view.grouped, setting.split, setting.chain)

    def _probed_with(self, mark: int) -> tuple[int, ...]:
        """The marks that are probed with the model as it is at ``mark``."""
        setting = self.setting
        return setting.view.probed_with(setting.cell.subject, mark, self.model)

    def _probed(self, marks: tuple[int, ...]) -> list[Answers]:
        """The answers to the people who are probed at each mark."""
        requests, users_Q = self.setting.chain, self.questions["probe"].users
        who = partial(self.setting.view.probed_at, self.setting.cell.subject)
        items = [requests.items_at(mark) for mark in marks]
        distinct = {items_I.tobytes(): items_I for items_I in items}
        answers = dict(zip(distinct, self._asked("probe", list(distinct.values())), strict=True))
        chosen = [np.flatnonzero(np.isin(users_Q, who(mark))) for mark in marks]
        pairs = zip(items, chosen, strict=True)
        return [answers[items_I.tobytes()].pick(positions) for items_I, positions in pairs]

    def _asked(self, asks: str, items: list[np.ndarray]) -> list[Answers]:
        """The answers to all queries of a kind, once for each set of items that are exposed."""
        queries = self.questions[asks]
        exposed = items if asks == "probe" else []
        ranked_QK, exposures = rank_all(self.model, queries, max(KS), exposed)
        rows_Q = queries.inputs.rows.cpu().numpy()
        return [
            Answers(ranked_QK, queries.relevant, items_I, exposure, queries.users, rows_Q)
            for items_I, exposure in zip(items, exposures or [None], strict=True)
        ]

    def _keep(self, mark: int, asks: str, answers: Answers) -> None:
        if len(answers):
            self.ranked.append(_ranked_frame(mark, asks, answers))

    def _write(self, mark: int, test_hash: str, asks: str, found: list[Measured]) -> None:
        reported = self.setting.view.reported(asks, found)
        self.results += result_rows(identity(self.setting, mark), test_hash, reported)

    def _write_probed(self, mark: int, probed: Answers) -> None:
        self._keep(mark, "probe", probed)
        if self.setting.chain.items.any():
            found = measure(probed, self._metrics["probe"], KS)
            self._write(mark, self.probe_hash, "probe", found)


def identity(setting: Setting, mark: int) -> dict[str, Any]:
    """The columns of a result row that say what was measured."""
    return identity_of(setting.cell, setting.data.task, mark)


def identity_of(cell: Cell, task: str, mark: int) -> dict[str, Any]:
    """The same of a cell with a scenario, whose data serve ``task``."""
    scenario = cell.make_scenario()
    return {
        "task": task,
        "dataset": cell.dataset.name,
        "model": cell.model.name,
        "method": cell.method.title,
        "scenario": scenario.name,
        "category": scenario.category,
        "fraction": scenario.fraction,
        "seed": cell.seed,
        "mark": mark,
        "cell": cell.key,
    }


def result_rows(
    identity: dict[str, Any], test_hash: str, found: list[Measured]
) -> list[dict[str, Any]]:
    """What was measured at a mark as rows of ``results.parquet``."""
    return [identity | vars(one) | {"test_hash": test_hash} for one in found]


def _ranked_frame(mark: int, asks: str, answers: Answers) -> pd.DataFrame:
    columns = {
        "mark": np.full(len(answers), mark),
        "asks": [asks] * len(answers),
        "query": np.arange(len(answers)),
        "user": answers.users_Q,
        "row": answers.rows_Q,
        "items": list(answers.ranked_QK),
        "relevant": np.split(answers.relevant.values, answers.relevant.offsets[1:-1]),
        "exposed_rank": answers.known_exposure.rank_Q,
        "exposed_mass": answers.known_exposure.mass_Q,
    }
    return pd.DataFrame({name: columns[name] for name in RANKED})
