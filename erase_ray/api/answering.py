"""Recommendations and metrics of a model on a user's own data."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from erase_ray.api._setting import device_of
from erase_ray.api._table import OwnTable
from erase_ray.data.split import Part
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import DataError, SettingsError
from erase_ray.evaluation import measure, rank
from erase_ray.metrics import METRICS, Answers, Metric
from erase_ray.models import Model
from erase_ray.registry import known_names
from erase_ray.tasks import TASKS, Cut

PARTS = {"valid": Part.VALID, "test": Part.TEST}


class Asked(Protocol):
    """A model and the data that it is asked about."""

    @property
    def model(self) -> Model:
        """Who answers."""
        ...

    @property
    def table(self) -> OwnTable:
        """Rows that are left."""
        ...


class Answering:
    """What a fitted and an unlearned model can be asked."""

    model: Model
    table: OwnTable

    @property
    def vocabulary(self) -> Vocabulary:
        """Outer ids of users, items and sequences, as texts."""
        return self.table.vocabulary

    @property
    def frame(self) -> pd.DataFrame:
        """The rows of the user's frame that the model knows now."""
        return self.table.frame

    def recommend(self, users: Sequence[Any], k: int = 10) -> pd.DataFrame:
        """The best items for some people, given what is left of their histories.

        Items that a person has are left out for `cf`; sessions and baskets may repeat them. People
        without a history are left out where the task needs one.

        Args:
            users: Their ids, as in the frame.
            k: Items for each.

        Returns:
            Columns ``user``, ``rank`` (from 1) and ``item``; ids are texts.

        Raises:
            DataError: An id is not known.
        """
        table, model = self.table, self.model
        asked = _inner_users(table, users)
        cut = Cut(model.max_history, device_of(model))
        task = TASKS.get(table.task)()
        queries = task.probe(table.interactions, table.split, asked, cut)
        items_QK = rank(model, queries, k)
        query, place = np.nonzero(items_QK >= 0)
        names = self.vocabulary
        return pd.DataFrame(
            {
                "user": list(names.users.take(queries.users[query])),
                "rank": place + 1,
                "item": list(names.items.take(items_QK[query, place].astype(np.int64))),
            }
        )


def evaluate(
    of: Asked,
    metrics: Sequence[str] = ("recall", "ndcg"),
    k: int | Sequence[int] = (10, 20),
    part: str = "test",
) -> pd.DataFrame:
    """How well a fitted or unlearned model recommends what was held out.

    Args:
        of: What :func:`erase_ray.fit` or :func:`erase_ray.unlearn` returned.
        metrics: Names of metrics, such as ``recall``, ``ndcg``, ``hit``, ``mrr``, ``precision``.
        k: Cut-offs.
        part: ``test`` or ``valid``; there is neither after ``split="all"``.

    Returns:
        Columns ``metric``, ``k``, ``value`` and ``n`` (queries that count).

    Raises:
        UnknownNameError: There is no such metric.
        SettingsError: A metric is none of held-out queries, or there is no such part.
        DataError: No row is held out.
    """
    if part not in PARTS:
        raise SettingsError(f"no part '{part}'.{known_names(part, list(PARTS))}")
    judges = [_judge(name) for name in metrics]
    ks = [k] if isinstance(k, int) else list(k)
    table, cut = of.table, Cut(of.model.max_history, device_of(of.model))
    queries = TASKS.get(table.task)().queries(table.interactions, table.split, PARTS[part], cut)
    if not len(queries):
        raise DataError(
            f"no row is held out as {part}: fit with split='task', or with a column of marks"
        )
    rows_Q = queries.inputs.rows.cpu().numpy()
    nothing_I = np.zeros(table.interactions.num_items, bool)
    ranked_QK = rank(of.model, queries, max(ks))
    answers = Answers(ranked_QK, queries.relevant, nothing_I, None, queries.users, rows_Q)
    found = measure(answers, judges, ks)
    return pd.DataFrame([vars(one) for one in found], columns=["metric", "k", "value", "n"])


def _judge(name: str) -> Metric:
    kind = METRICS.get(name)
    if kind.asks != "test" or not issubclass(kind, Metric):
        raise SettingsError(f"metric '{name}' does not judge held-out queries one by one")
    return kind()


def _inner_users(table: OwnTable, users: Sequence[Any]) -> np.ndarray:
    if isinstance(users, str):
        raise DataError(f"users must be a list of ids, got the text '{users}'")
    texts = [str(user) for user in users]
    found = table.vocabulary.users.positions(texts)
    if (found < 0).any():
        unknown = texts[int(np.flatnonzero(found < 0)[0])]
        raise DataError(f"user '{unknown}' is not among the {len(table.vocabulary.users)} known")
    return found
