"""People who want everything about them forgotten."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scenario_toys import build, profiles, sessions

from erase_ray.errors import ScenarioError
from erase_ray.scenarios.account import Account

TABLE = sessions(np.array([3, 1, 2, 5, 4, 4, 2, 2, 6, 1]), 6)


def test_all_rows_of_a_person_in_all_sessions():
    chain = build("account", TABLE, num_users=2)
    assert len(chain) == 2
    for request in chain.requests:
        assert request.rows.tolist() == TABLE.row[TABLE.user == request.user].tolist()
        assert len(np.unique(TABLE.sequence[request.rows])) == 2
    assert chain.probe.tolist() == [request.user for request in chain.requests]
    assert not chain.items.any()
    assert chain.poison is None


def test_more_users_are_the_same_ones_and_more():
    asked = [set(build("account", TABLE, num_users=n).probe) for n in (1, 2, 3, 4)]
    assert all(fewer < more for fewer, more in pairwise(asked))


def test_a_share_is_rounded_down_but_not_by_rounding_errors():
    table = profiles([[0]] * 100)
    assert len(build("account", table, fraction=0.29)) == 29
    assert len(build("account", table, fraction=0.299)) == 29


def test_the_seed_decides_who_asks():
    drawn = {tuple(build("account", TABLE, seed=s, num_users=2).probe) for s in range(20)}
    assert len(drawn) > 4


def test_what_the_tables_say():
    assert Account(Account.Settings(fraction=0.2)).fraction == 0.2
    assert math.isnan(Account(Account.Settings(num_users=3)).fraction)
    assert Account(Account.Settings()).category == ""


def test_too_few():
    text = (
        r"^fraction 0.1 of 5 users is less than one; raise the fraction to 2.0e-01 or more, or "
        r"set num_users$"
    )
    with pytest.raises(ScenarioError, match=text):
        build("account", TABLE, fraction=0.1)


def test_too_many():
    text = r"^num_users is 5, and there are 5 users, so nobody would be left; lower it$"
    with pytest.raises(ScenarioError, match=text):
        build("account", TABLE, num_users=5)
