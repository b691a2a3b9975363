"""Every method goes on inside a chain, and ends in the same bytes."""

import pytest
from chain_toys import ALWAYS, NEVER, Interrupted, assert_same, chain_cell, prepared

from erase_ray.experiment.run import run_cell
from erase_ray.methods import METHODS
from tests.conftest import CPU

IN_CHAIN = [name for name in METHODS.names() if not METHODS.get(name).per_mark]
LEARNING = [name for name in IN_CHAIN if METHODS.get(name).serves_learning]
COUNTING = [name for name in IN_CHAIN if METHODS.get(name).serves_baselines]
PAIRS = [(model, method) for model in ("bpr", "sgl", "gru4rec") for method in LEARNING]
PAIRS += [(model, method) for model in ("ease", "itemknn", "sknn", "pop") for method in COUNTING]


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_a_chain_that_was_killed_is_the_same_as_one_that_was_not(model, method, tmp_path):
    cell = chain_cell(model, method, scenarios={"account": {"num_users": 4}})
    whole = prepared(cell, tmp_path / "whole")
    run_cell(cell, whole, CPU, NEVER)
    broken = Interrupted(cell, tmp_path / "broken")
    broken.run([2], ALWAYS)
    assert broken.served == [0, 1, 2, 3]
    assert_same(cell, whole, broken.store)
