"""Sums that are exact, and tallies that do not care how the answers reach them."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erase_ray.data.csr import Csr
from erase_ray.errors import EraseError
from erase_ray.metrics import METRICS, Answers, Exposure, Metric, Population, Tally
from erase_ray.metrics._exact import ExactSum, exact_sums
from erase_ray.metrics._groups import ITEM_GROUPS, QUERY_GROUPS

NUM_ITEMS, NUM_USERS, DEPTH = 25, 9, 8
KS = (3, 8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


def summed(values: list[float]) -> ExactSum:
    return exact_sums(np.array(values, np.float64), np.zeros(len(values), np.int64), 1)[0]


@given(st.lists(FLOATS))
def test_sums_are_those_of_fsum(values):
    assert summed(values).total == math.fsum(values)
    assert summed(values).count == len(values)


@pytest.mark.parametrize(
    "values",
    [[1e16, 1.0, -1e16], [5e-324, -1e-310, 2e-308], [2.0**1023, 2.0**-1074, -(2.0**1023)], [0.0]],
)
def test_sums_over_the_whole_range_of_floats(values):
    assert summed(values).total == math.fsum(values)


@given(st.lists(FLOATS), st.lists(FLOATS))
def test_merged_sums_are_those_of_all(one, other):
    both = summed(one)
    both.merge(summed(other))
    assert both.total == math.fsum(one + other)
    assert both.count == len(one) + len(other)


@given(st.lists(st.tuples(st.one_of(FLOATS, st.just(math.nan)), st.integers(0, 2))))
def test_each_class_has_its_own_sum_and_nan_is_left_out(pairs):
    values = np.array([value for value, _ in pairs], np.float64)
    classes = np.array([kind for _, kind in pairs], np.int64)
    for kind, found in enumerate(exact_sums(values, classes, 3)):
        counted = [v for v, c in pairs if c == kind and not math.isnan(v)]
        assert (found.total, found.count) == (math.fsum(counted), len(counted))


def test_more_than_fit_at_once_are_added_in_pieces(monkeypatch):
    monkeypatch.setattr("erase_ray.metrics._exact.MOST", 7)
    values = np.random.default_rng(0).normal(size=100)
    assert summed(values.tolist()).total == math.fsum(values)


def test_a_sum_of_nothing_has_no_mean():
    assert math.isnan(ExactSum().mean)


def made_up(seed: int, num_queries: int) -> tuple[Answers, Population]:
    rng = np.random.default_rng(seed)
    ranked = np.array([rng.permutation(NUM_ITEMS)[:DEPTH] for _ in range(num_queries)], np.int32)
    ranked = ranked.reshape(num_queries, DEPTH)
    ranked[rng.random(ranked.shape) < 0.1] = -1
    owners, values = rng.integers(0, max(num_queries, 1), (2, 3 * num_queries))
    values = values % NUM_ITEMS
    answers = Answers(
        ranked,
        Csr.of_pairs(owners, values, num_queries),
        rng.random(NUM_ITEMS) < 0.3,
        Exposure(*rng.random((2, num_queries)).astype(np.float32)),
        rng.integers(0, NUM_USERS, num_queries),
        np.arange(num_queries),
    )
    flags = (rng.random(size) < 0.4 for size in (NUM_USERS, max(num_queries, 1), NUM_ITEMS))
    return answers, Population(*flags)


def everything(population: Population) -> Tally:
    metrics = [METRICS.get(name)() for name in METRICS.names()]
    return Tally(metrics, KS, population)


def numbers(tally: Tally) -> list[tuple]:
    return [(m.metric, m.k, m.n, np.float64(m.value).tobytes()) for m in tally.measured()]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(1, 12), st.integers(1, 4))
def test_numbers_do_not_depend_on_tiles_order_or_workers(seed, num_queries, size, num_workers):
    answers, population = made_up(seed, num_queries)
    whole = everything(population)
    whole.add(answers)
    rng = np.random.default_rng(seed)
    mixed = answers.pick(rng.permutation(num_queries))
    workers = [everything(population) for _ in range(num_workers)]
    for start in range(0, num_queries, size):
        workers[rng.integers(num_workers)].add(mixed.take(start, start + size))
    total = everything(population)
    for worker in rng.permutation(np.array(workers, object)):
        total.merge(worker)
    if num_queries:  # of nothing there is no coverage, but of an empty tile there is
        assert numbers(total) == numbers(whole)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_means_are_those_of_fsum_group_by_group(seed, num_queries):
    answers, population = made_up(seed, num_queries)
    tally = everything(population)
    tally.add(answers)
    found = {(m.metric, m.k): (m.value, m.n) for m in tally.measured()}
    metric = METRICS.get("ndcg")()
    for k in KS:
        values_Q = metric.per_query(answers, k)
        expected = {"ndcg": values_Q}
        for name, group in QUERY_GROUPS.items():
            expected[f"ndcg.{name}"] = values_Q[group(population, answers)]
        for name, group in ITEM_GROUPS.items():
            fewer = answers.only(group(population))
            expected[f"ndcg.{name}"] = metric.per_query(fewer, k)
        for name, values in expected.items():
            counted = values[~np.isnan(values)]
            mean = math.fsum(counted) / len(counted) if len(counted) else math.nan
            np.testing.assert_equal(found[name, k], (mean, len(counted)))


def test_only_grouped_metrics_have_groups_and_only_those_with_a_cutoff_have_one():
    _, population = made_up(0, 1)
    found = {(m.metric, m.k) for m in everything(population).measured()}
    groups = {name.split(".")[1] for name, _ in found if "." in name}
    assert groups == {"requesters", "others", "active", "inactive", "popular", "tail"}
    grouped = {name.split(".")[0] for name, _ in found if "." in name}
    assert grouped == {"recall", "ndcg", "hit", "mrr", "precision"}
    assert {k for name, k in found if name.startswith("exposure")} == {0}
    assert {k for name, k in found if not name.startswith("exposure")} == set(KS)
    without = {m.metric for m in Tally([METRICS.get("recall")()], KS).measured()}
    assert without == {"recall"}


class Wrong(Metric):
    """Gives what no metric may give."""

    name = "wrong"

    def __init__(self, values: list[float]) -> None:
        self.values = np.array(values)

    def per_query(self, answers, k):
        return self.values


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            [0.0, math.inf],
            "metric 'wrong' at 3 is infinite for a query; a query that does not count has to be "
            "NaN",
        ),
        (
            [0.5],
            "metric 'wrong' gave numbers of shape (1,) for 2 queries; it has to give one for each",
        ),
    ],
)
def test_numbers_that_no_metric_may_give_are_named(values, text):
    answers, _ = made_up(0, 2)
    with pytest.raises(EraseError, match=f"^{re.escape(text)}$"):
        Tally([Wrong(values)], KS).add(answers)
