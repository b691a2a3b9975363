"""What every metric must do, whoever wrote it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.csr import Csr
from erase_ray.evaluation import measure
from erase_ray.metrics import METRICS, Aggregate, Answers, Exposure, Metric

NUM_ITEMS, DEPTH = 30, 12
KS = (1, 5, 12)
BOUNDS = {"share": (0, 1), "items": (0, DEPTH), "rank": (1, NUM_ITEMS + 1)}
"""By unit; a metric with another one adds its own."""


def answers(seed: int) -> Answers:
    rng = np.random.default_rng(seed)
    num_queries = rng.integers(0, 9)
    ranked = np.array([rng.permutation(NUM_ITEMS)[:DEPTH] for _ in range(num_queries)], np.int32)
    ranked = ranked.reshape(num_queries, DEPTH)
    for row in ranked:
        row[rng.integers(0, 2 * DEPTH) :] = -1
    owners, values = rng.integers(0, max(num_queries, 1), (2, 4 * num_queries))
    values = rng.integers(0, NUM_ITEMS, len(values))
    exposure = np.stack([1 + NUM_ITEMS * rng.random(num_queries), rng.random(num_queries)])
    exposure[:, rng.random(num_queries) < 0.2] = math.nan
    return Answers(
        ranked,
        Csr.of_pairs(owners, values, num_queries),
        rng.random(NUM_ITEMS) < rng.random(),
        Exposure(*exposure.astype(np.float32)),
        rng.integers(0, 5, num_queries),
        np.arange(num_queries),
    )


def kinds() -> list[Metric | Aggregate]:
    return [METRICS.get(name)() for name in METRICS.names()]


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_says_what_it_is(name):
    kind = METRICS.get(name)
    assert kind.__doc__
    assert "Paper:" in kind.__doc__
    assert kind.better in ("up", "down")
    assert kind.asks in ("test", "probe")
    assert kind.unit in BOUNDS
    assert issubclass(kind, (Metric, Aggregate))


@given(st.integers(0, 2**32 - 1))
def test_values_are_within_the_bounds_of_their_unit_or_nan(seed):
    for found in measure(answers(seed), kinds(), KS):
        low, high = BOUNDS[found.unit]
        assert math.isnan(found.value) or low <= found.value <= high
        assert 0 <= found.n <= 9


@given(st.integers(0, 2**32 - 1))
def test_every_query_has_a_float_of_its_own(seed):
    given_answers = answers(seed)
    for metric in kinds():
        if isinstance(metric, Metric):
            values_Q = metric.per_query(given_answers, 5)
            assert values_Q.dtype == np.float64
            assert values_Q.shape == (len(given_answers),)
            alone = [given_answers.take(q, q + 1) for q in range(len(given_answers))]
            one_by_one = [metric.per_query(one, 5)[0] for one in alone]
            np.testing.assert_array_equal(values_Q, one_by_one)


@given(st.integers(0, 2**32 - 1))
def test_values_do_not_depend_on_the_order_of_the_queries(seed):
    given_answers = answers(seed)
    order = np.random.default_rng(seed).permutation(len(given_answers))
    one, two = (measure(a, kinds(), KS) for a in (given_answers, given_answers.pick(order)))
    np.testing.assert_equal([vars(m) for m in one], [vars(m) for m in two])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_summaries_of_aggregates_may_be_merged_in_any_order(seed, other):
    one, two = answers(seed), answers(other)
    for metric in kinds():
        if isinstance(metric, Aggregate):
            parts = [metric.summary(a, 5) for a in (one, two)]
            forth, back = metric.merged(*parts), metric.merged(*reversed(parts))
            np.testing.assert_array_equal(forth, back)
            assert forth.shape == parts[0].shape == parts[1].shape
