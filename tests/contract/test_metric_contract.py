"""What every metric must do, whoever wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.contract import Candidate, NotApplicableError, checks_of
from erase_ray.contract import metrics as contract
from erase_ray.metrics import METRICS, Aggregate, Metric

SEEDS = st.integers(0, 2**32 - 1)


def kinds() -> list[Metric | Aggregate]:
    return [METRICS.get(name)() for name in METRICS.names()]


@pytest.mark.parametrize("name", METRICS.names())
def test_metric(name):
    passed = 0
    for check in checks_of("metric"):
        try:
            check.run(Candidate("metric", name))
            passed += 1
        except NotApplicableError:
            assert check.name in ("queries are judged one by one", "summaries can be merged")
    assert passed == len(checks_of("metric")) - 1


@pytest.mark.parametrize("name", METRICS.names())
def test_units_of_ours_have_bounds(name):
    assert METRICS.get(name).unit in contract.BOUNDS


@given(SEEDS)
def test_values_are_within_the_bounds_of_their_unit_or_nan(seed):
    contract.values_keep_to_their_unit(kinds(), seed)


@given(SEEDS)
def test_every_query_has_a_float_of_its_own(seed):
    contract.queries_have_numbers_of_their_own(kinds(), seed)


@given(SEEDS)
def test_values_do_not_depend_on_the_order_of_the_queries(seed):
    contract.order_plays_no_part(kinds(), seed)


@given(SEEDS, SEEDS)
def test_summaries_of_aggregates_may_be_merged_in_any_order(seed, other):
    contract.summaries_can_be_merged(kinds(), seed, other)
