"""Who asks for what: by hand, and what must hold of every chain."""

import logging

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.errors import ScenarioError
from erase_ray.scenarios.sensitive import Sensitive


def table(items_by_user: list[list[int]], num_items: int = 10) -> Interactions:
    """One sequence a user, one row a step; the last user has the last item."""
    users = np.repeat(np.arange(len(items_by_user)), [len(items) for items in items_by_user])
    steps = np.concatenate([np.arange(len(items)) for items in items_by_user])
    items = np.concatenate(items_by_user)
    columns = {"user": users, "sequence": users, "step": steps, "item": items, "time": steps}
    return Interactions.prepared(columns)


def catalogue(num_items: int, *sensitive: int) -> Catalogue:
    members = np.zeros(num_items, bool)
    members[list(sensitive)] = True
    return Catalogue(tuple(map(str, range(num_items))), {"drinks": members})


def build(data: Interactions, known: Catalogue, seed: int = 2, **settings):
    scenario = Sensitive(Sensitive.Settings(category="drinks", **settings))
    return scenario.build(data, Split(np.zeros(len(data), np.int8)), known, seed)


# users 0, 1 and 3 have 1, 2 and 1 rows of items 4 and 5; there are 10 rows
DATA = table([[4, 0, 1], [5, 4, 2], [0, 3], [3, 5]])
KNOWN = catalogue(6, 4, 5)


def test_everyone_with_an_item_asks_when_the_share_is_large():
    chain = build(DATA, KNOWN, fraction=0.4)
    assert [request.user for request in chain.requests] == [0, 1, 3]
    assert [request.id for request in chain.requests] == [0, 1, 2]
    assert [request.rows.tolist() for request in chain.requests] == [[0], [3, 4], [9]]
    assert chain.probe.tolist() == [0, 1, 3]
    assert np.flatnonzero(chain.items).tolist() == [4, 5]
    assert chain.marks == (1, 2, 3, 3)
    assert chain.rows().tolist() == [0, 3, 4, 9]
    assert chain.poison is None


def drawn(seed: int, fraction: float = 0.4) -> list[int]:
    return [request.user for request in build(DATA, KNOWN, seed, fraction=fraction).requests]


def test_the_seed_decides_who_asks():
    one_row = {tuple(users) for seed in range(40) if (users := draw_or_none(seed))}
    assert one_row == {(0,), (3,)}


def draw_or_none(seed: int) -> list[int] | None:
    """Users for one row; None where user 1, who has two, is drawn first and so is too large."""
    try:
        return drawn(seed, 0.1)
    except ScenarioError:
        return None


# one user with 3 rows and one with 4 of category; seven of 20 rows
TWO = table([[4, 4, 4, 0, 0, 0, 0, 0, 0, 0], [4, 4, 4, 4, 0, 0, 0, 0, 0, 5]])


def first_drawn(seed: int) -> int:
    return build(TWO, catalogue(6, 4), seed, fraction=0.05, stop_rule="reach").requests[0].user


SEED_OF = {first_drawn(seed): seed for seed in range(20)}


@pytest.mark.parametrize(
    ("fraction", "stop_rule", "first", "users"),
    [
        # 3 rows wanted: user 0 has just 3
        (0.15, "closest", 0, [0]),
        (0.15, "reach", 0, [0]),
        # 3 wanted, user 1 has 4: one over is closer than three under
        (0.15, "closest", 1, [1]),
        # 4 wanted: user 0 gives 3, both give 7; one under is closer than three over
        (0.20, "closest", 0, [0]),
        (0.20, "reach", 0, [0, 1]),
        # 5 wanted: user 0 gives 3, both give 7; as far under as over, so without user 1
        (0.25, "closest", 0, [0]),
        # 6 wanted: user 0 gives 3, both give 7
        (0.30, "closest", 0, [0, 1]),
        (0.35, "closest", 1, [0, 1]),
        (0.35, "reach", 1, [0, 1]),
    ],
)
def test_where_the_draw_stops(fraction, stop_rule, first, users):
    chain = build(TWO, catalogue(6, 4), SEED_OF[first], fraction=fraction, stop_rule=stop_rule)
    assert [request.user for request in chain.requests] == users


def test_a_share_is_rounded_down_but_not_by_rounding_errors():
    """0.29 of 100 rows is 29 although 0.29 * 100 is 28.999..."""
    data = table([[0]] * 100)
    assert len(build(data, catalogue(1, 0), fraction=0.29)) == 29
    assert len(build(data, catalogue(1, 0), fraction=0.299)) == 29


def test_too_few_rows_are_all_taken_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        chain = build(DATA, KNOWN, fraction=0.9)
    assert [request.user for request in chain.requests] == [0, 1, 3]
    assert caplog.messages == ["only 4 of the 9 rows to forget are there"]


def test_who_keeps_too_little_does_not_ask():
    # left over: user 0 two steps, user 1 one, user 3 one
    chain = build(DATA, KNOWN, fraction=0.4, min_steps_left=2)
    assert [request.user for request in chain.requests] == [0]


def test_who_has_or_keeps_too_few_rows_does_not_ask():
    # rows of category and others: user 0 one and two, user 1 two and one, user 3 one and one
    named = build(DATA, KNOWN, fraction=0.4, min_rows_named=2)
    assert [request.user for request in named.requests] == [1]
    left = build(DATA, KNOWN, fraction=0.4, min_rows_left=2)
    assert [request.user for request in left.requests] == [0]


def test_order_and_batch_do_not_change_who_asks():
    # the latest rows of users 0, 1 and 3 are at times 0, 1 and 1
    plain = build(DATA, KNOWN, fraction=0.4)
    by_time = build(
        table([[0, 1, 4], [5, 4, 2], [0, 3], [3, 5]]), KNOWN, fraction=0.4, order="time"
    )
    assert [request.user for request in by_time.requests] == [1, 3, 0]
    assert by_time.probe.tolist() == plain.probe.tolist()
    drawn = build(DATA, KNOWN, fraction=0.4, order="seed", batch=2)
    assert drawn.rows().tolist() == plain.rows().tolist()


def test_steps_left_are_baskets_not_rows():
    """User 0 keeps three rows in two baskets, user 1 three in three (in two sequences)."""
    data = Interactions.prepared(
        {
            "user": np.array([0, 0, 0, 0, 1, 1, 1, 1]),
            "sequence": np.array([0, 0, 0, 0, 1, 1, 1, 2]),
            "step": np.array([0, 0, 0, 1, 0, 1, 2, 0]),
            "item": np.array([0, 1, 4, 0, 0, 4, 1, 2]),
            "time": np.zeros(8, np.int64),
        }
    )
    users = {
        least: [r.user for r in build(data, KNOWN, fraction=0.25, min_steps_left=least).requests]
        for least in (2, 3)
    }
    assert users == {2: [0, 1], 3: [1]}


@pytest.mark.parametrize(
    ("settings", "known", "text"),
    [
        (
            {"fraction": 0.05},
            KNOWN,
            r"^fraction 0.05 of 10 rows is less than one row; "
            r"raise the fraction to 1.0e-01 or more$",
        ),
        (
            {"fraction": 0.4},
            catalogue(8, 7),
            r"^no user has an item of category 'drinks' in 10 rows; choose another category$",
        ),
        ({"fraction": 0.4}, catalogue(6), r"^category 'drinks' is empty"),
        (
            {"fraction": 0.4, "min_steps_left": 3},
            KNOWN,
            r"^none of the 3 users with items of category 'drinks' has what the settings ask for "
            r"\(min_rows_named 1, min_rows_left 0, min_steps_left 3\); lower them$",
        ),
    ],
)
def test_what_cannot_be_built_says_why(settings, known, text):
    with pytest.raises(ScenarioError, match=text):
        build(DATA, known, **settings)


def test_a_first_user_who_is_too_large_says_so():
    text = (
        r"^fraction 0.05 is 1 rows, but the first user drawn has 3 of category 'drinks'; "
        r"raise the fraction or take stop_rule 'reach'$"
    )
    with pytest.raises(ScenarioError, match=text):
        build(TWO, catalogue(6, 4), SEED_OF[0], fraction=0.05)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_fraction_is_a_share(fraction):
    with pytest.raises(ValidationError, match=r"fraction\n\s+Input should be (greater|less) than"):
        Sensitive.Settings(category="drinks", fraction=fraction)


def test_stop_rule_is_one_of_two():
    with pytest.raises(
        ValidationError, match=r"stop_rule\n\s+Input should be 'closest' or 'reach'"
    ):
        Sensitive.Settings(category="drinks", fraction=0.1, stop_rule="never")  # type: ignore


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=2, max_size=12),
    st.integers(0, 1000),
    st.tuples(st.floats(0.02, 0.9), st.floats(0.02, 0.9)),
    st.sampled_from(["closest", "reach"]),
)
def test_what_holds_of_every_chain(items_by_user, seed, fractions, stop_rule):
    data, known = table(items_by_user), catalogue(10, 2, 3, 7)
    chains = []
    for fraction in sorted(fractions):
        try:
            chains.append(build(data, known, seed, fraction=fraction, stop_rule=stop_rule))
        except ScenarioError:
            continue
    assume(chains)
    for chain in chains:
        n = len(chain)
        assert chain.marks == tuple(int(np.ceil(n * k / 4)) for k in (1, 2, 3, 4))
        users = [request.user for request in chain.requests]
        assert users == sorted(set(users)) == chain.probe.tolist()
        for request in chain.requests:
            wished = [
                row
                for row in range(len(data))
                if data.user[row] == request.user and data.item[row] in (2, 3, 7)
            ]
            assert request.rows.tolist() == wished
        left = data.without(chain.rows())
        assert sorted([*left.row.tolist(), *chain.rows().tolist()]) == list(range(len(data)))
        assert len(left) + len(chain.rows()) == len(data)
    if len(chains) == 2:
        assert set(chains[0].probe) <= set(chains[1].probe)
        assert set(chains[0].rows()) <= set(chains[1].rows())


def test_the_same_seed_gives_the_same_chain():
    data, known = table([[0]] * 60), catalogue(1, 0)
    chains = [build(data, known, seed, fraction=0.2) for seed in (2, 2, 3)]
    assert chains[0].hash == chains[1].hash != chains[2].hash
