"""Groups of test queries, or of relevant items, for which metrics are reported apart.

A metric that is ``grouped`` is reported for each function below as ``<metric>.<function>``. To add
a group, write its function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.metrics._answers import Answers
from erase_ray.scenarios._bands import Bands


@dataclass(frozen=True, eq=False)
class Population:
    """Who asks, and for what.

    Args:
        requester_U: bool, shape ``(U,)``: people whom any request of the chain names.
        active_R: bool, indexed by row id: rows of sequences that are trained on more than usual.
        popular_I: bool, shape ``(I,)``: the items that are trained on most.
    """

    requester_U: np.ndarray
    active_R: np.ndarray
    popular_I: np.ndarray

    @classmethod
    def of(cls, cleaned: Interactions, split: Split, requesters: np.ndarray) -> "Population":
        """The population of a table.

        Args:
            cleaned: The table without the rows of any request.
            split: The mark of every row.
            requesters: Users whom a request names.
        """
        is_train_R = split.of(cleaned) == Part.TRAIN
        requester_U = np.zeros(cleaned.num_users, bool)
        requester_U[requesters] = True
        popular_I = np.zeros(cleaned.num_items, bool)
        popular_I[Bands.of(cleaned.only(cleaned.row[is_train_R])).popular()] = True
        return cls(requester_U, _active(cleaned, is_train_R), popular_I)


def _active(table: Interactions, is_train_R: np.ndarray) -> np.ndarray:
    active_R = np.zeros(table.row.max(initial=-1) + 1, bool)
    if len(table):
        trained_S = np.bincount(table.sequence[is_train_R], minlength=table.num_sequences)
        usual = np.median(trained_S[np.unique(table.sequence)])
        active_R[table.row] = (trained_S > usual)[table.sequence]
    return active_R


OfQueries = Callable[[Population, Answers], np.ndarray]
OfItems = Callable[[Population], np.ndarray]
QUERY_GROUPS: dict[str, OfQueries] = {}
"""By name: which queries count, bool, shape ``(Q,)``."""
ITEM_GROUPS: dict[str, OfItems] = {}
"""By name: which relevant items count, bool, shape ``(I,)``; a query with none does not count."""


def _of_queries(group: OfQueries) -> OfQueries:
    QUERY_GROUPS[group.__name__] = group
    return group


def _of_items(group: OfItems) -> OfItems:
    ITEM_GROUPS[group.__name__] = group
    return group


@_of_queries
def requesters(population: Population, answers: Answers) -> np.ndarray:
    """Queries of people whom any request of the chain names: what else they are interested in."""
    return population.requester_U[answers.users_Q]


@_of_queries
def others(population: Population, answers: Answers) -> np.ndarray:
    """Queries of people whom no request of the chain names."""
    return ~population.requester_U[answers.users_Q]


@_of_queries
def active(population: Population, answers: Answers) -> np.ndarray:
    """Queries of users (of sessions, where these are what a model reads) with many train rows.

    Many are more than the median over all users (sessions) that have rows in the cleaned table.
    """
    return population.active_R[answers.rows_Q]


@_of_queries
def inactive(population: Population, answers: Answers) -> np.ndarray:
    """Queries of users (or sessions) that have at most the median number of train rows."""
    return ~population.active_R[answers.rows_Q]


@_of_items
def popular(population: Population) -> np.ndarray:
    """The 20 % of the items with most train rows in the cleaned table; ties by lower id."""
    return population.popular_I


@_of_items
def tail(population: Population) -> np.ndarray:
    """The other 80 % of the items."""
    return ~population.popular_I
