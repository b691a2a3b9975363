"""Fakes: how many, what is in them, and that nothing real is touched."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scenario_toys import baskets, build, profiles, sessions

from erase_ray.data.interactions import Interactions
from erase_ray.errors import ScenarioError
from erase_ray.scenarios._bands import Bands
from erase_ray.scenarios._fakes import Attack, drawn_lengths, drawn_times
from erase_ray.scenarios.spam import Spam

NUM_ITEMS = 60
SESSIONS = sessions(np.random.default_rng(1).integers(1, 15, 400), NUM_ITEMS)
BASKETS = baskets(120, NUM_ITEMS)
PROFILES = profiles([sorted({(u + k * k) % NUM_ITEMS for k in range(12)}) for u in range(150)])
TABLES = {"cf": PROFILES, "session_based": SESSIONS, "next_basket": BASKETS}
TASKS = sorted(TABLES)


@pytest.fixture(params=TASKS)
def task(request) -> str:
    return request.param


def poison_of(task: str, table: Interactions | None = None, **settings) -> Interactions:
    chain = build("spam", TABLES[task] if table is None else table, task, **settings)
    assert chain.poison is not None
    return chain.poison


def by_fake(poison: Interactions, column: str) -> list[list[int]]:
    starts = np.flatnonzero(np.diff(poison.sequence, prepend=-1))
    return [part.tolist() for part in np.split(getattr(poison, column), starts[1:])]


def test_fakes_are_new_people_behind_the_real_ones(task):
    real, chain = TABLES[task], build("spam", TABLES[task], task, ratio=0.05, num_targets=5)
    poison = chain.poison
    assert poison is not None
    num = math.ceil(0.05 * real.num_sequences / 0.95)
    assert np.unique(poison.user).tolist() == list(range(real.num_users, real.num_users + num))
    whole = real.appended(poison)
    assert (whole.num_users, whole.num_items) == (real.num_users + num, real.num_items)
    assert whole.num_sequences == real.num_sequences + num
    assert whole.row.tolist() == list(range(len(real) + len(poison)))
    assert real.time.min() <= poison.time.min() <= poison.time.max() <= real.time.max()
    Interactions.prepared(dict(whole.columns()))


@pytest.mark.parametrize(
    ("ratio", "num_sequences", "num_fakes"),
    # 0.2 * 20 / 0.8 is 5; 0.01 * 99 / 0.99 is 1; 0.01 * 100 / 0.99 is a little more than 1
    [(0.2, 20, 5), (0.01, 99, 1), (0.01, 100, 2), (0.5, 7, 7), (0.01, 2_700_000, 27_273)],
)
def test_fakes_are_the_ratio_of_all(ratio, num_sequences, num_fakes):
    assert Spam(Spam.Settings(ratio=ratio))._num_fakes(num_sequences) == num_fakes


def test_a_request_is_one_fake_with_all_its_rows(task):
    chain = build("spam", TABLES[task], task, ratio=0.05)
    poison = chain.poison
    assert poison is not None
    assert [request.user for request in chain.requests] == np.unique(poison.user).tolist()
    for request in chain.requests:
        assert request.rows.tolist() == poison.row[poison.user == request.user].tolist()
    assert chain.rows().tolist() == poison.row.tolist()


def test_real_people_are_probed_the_same_at_every_mark(task):
    real, chain = TABLES[task], build("spam", TABLES[task], task, num_probe=20)
    assert len(chain.probe) == 20
    assert chain.probe.tolist() == sorted(set(chain.probe.tolist()))
    assert chain.probe.max() < real.num_users
    assert all(chain.probed_at(mark).tolist() == chain.probe.tolist() for mark in (1, 2, 3, 4))
    everyone = build("spam", real, task, num_probe=10_000).probe
    assert everyone.tolist() == list(range(real.num_users))


def test_targets_are_unpopular_and_fillers_popular(task):
    real, chain = TABLES[task], build("spam", TABLES[task], task, ratio=0.1)
    ranked = Bands.of(real).ranked_I
    top, bottom = set(ranked[: NUM_ITEMS // 5].tolist()), set(ranked[-NUM_ITEMS // 5 :].tolist())
    targets = set(np.flatnonzero(chain.items).tolist())
    assert len(targets) == 10
    assert targets <= bottom
    assert chain.poison is not None
    for items in by_fake(chain.poison, "item"):
        assert set(items) <= top | targets
        assert set(items) & targets


@pytest.mark.parametrize(
    ("attack", "low", "high"),
    [("bandwagon", 0, 12), ("average", 18, 42), ("random", 0, 60), ("push", 0, 60)],
)
def test_what_surrounds_the_targets(attack, low, high):
    chain = build("spam", SESSIONS, "session_based", attack=attack, ratio=0.3)
    assert chain.poison is not None
    fillers = set(chain.poison.item.tolist()) - set(np.flatnonzero(chain.items).tolist())
    rank_I = np.argsort(Bands.of(SESSIONS).ranked_I)
    ranks = rank_I[sorted(fillers)]
    assert ranks.min() >= low
    assert ranks.max() < high
    assert len(fillers) > (high - low) * 0.7


@pytest.mark.parametrize(("targets", "first", "last"), [("popular", 0, 3), ("random", 0, 60)])
def test_other_targets(targets, first, last):
    chosen = [
        np.flatnonzero(
            build("spam", SESSIONS, "session_based", s, targets=targets, num_targets=3).items
        )
        for s in range(20)
    ]
    allowed = set(Bands.of(SESSIONS).ranked_I[first:last].tolist())
    assert all(set(items.tolist()) <= allowed for items in chosen)
    assert len({tuple(items) for items in chosen}) == (1 if targets == "popular" else 20)


def test_sessions_have_one_or_two_targets_never_first():
    chain = build("spam", SESSIONS, "session_based", ratio=0.4)
    assert chain.poison is not None
    counts = set()
    for items in by_fake(chain.poison, "item"):
        assert 4 <= len(items) <= 14
        places = [place for place, item in enumerate(items) if chain.items[item]]
        assert places
        assert min(places) >= max(1, len(items) // 5)
        assert max(places) < max(2, len(items) * 9 // 10)
        counts.add((len(items) >= 6, len(places)))
    # of two targets both may fall on one place
    assert counts == {(False, 1), (True, 1), (True, 2)}
    assert len(set(map(tuple, by_fake(chain.poison, "step")))) > 1
    assert all(steps == list(range(len(steps))) for steps in by_fake(chain.poison, "step"))
    assert all(min(np.diff(times)) >= 1 for times in by_fake(chain.poison, "time"))


def test_profiles_hold_no_item_twice():
    chain = build("spam", PROFILES, "cf", ratio=0.4)
    assert chain.poison is not None
    first_is_target = []
    for items in by_fake(chain.poison, "item"):
        assert len(set(items)) == len(items)
        assert sum(chain.items[item] for item in items) == (2 if len(items) >= 6 else 1)
        first_is_target.append(bool(chain.items[items[0]]))
    assert 0 < np.mean(first_is_target) < 1


def test_profiles_are_no_longer_than_there_are_items():
    table = profiles([list(range(10)), list(range(9))] * 30)
    poison = poison_of("cf", table, ratio=0.3, num_targets=1)
    # two popular items, one target of the least popular ones
    assert all(len(items) == 3 for items in by_fake(poison, "item"))


def test_baskets_hold_distinct_items_and_a_target_each():
    chain = build("spam", BASKETS, "next_basket", ratio=0.3)
    poison = chain.poison
    assert poison is not None
    mean = len({*zip(BASKETS.user.tolist(), BASKETS.step.tolist(), strict=True)}) / 120
    usual = max(4, int(mean))
    for steps, items, times in zip(
        *(by_fake(poison, name) for name in ("step", "item", "time")), strict=True
    ):
        groups: dict[int, list[int]] = {}
        for step, item in zip(steps, items, strict=True):
            groups.setdefault(step, []).append(item)
        assert list(groups) == list(range(len(groups)))
        assert 4 <= len(groups) <= usual * 3 // 2
        assert len(set(zip(steps, times, strict=True))) == len(groups)
        for basket in groups.values():
            assert basket == sorted(set(basket))
            # 0.8 times the largest basket of nine
            assert 2 <= len(basket) <= 7
            assert sum(chain.items[item] for item in basket) == (2 if len(basket) >= 5 else 1)


def test_the_same_seed_gives_the_same_bytes(task):
    chains = [build("spam", TABLES[task], task, seed) for seed in (2, 2, 3)]
    assert chains[0].hash == chains[1].hash != chains[2].hash


def test_what_concerns_the_chain_alone_leaves_the_poison_as_it_is(task):
    plain = poison_of(task)
    other = poison_of(task, order="seed", batch=3, num_probe=7)
    assert {"order", "batch", "num_probe"} == set(Spam.chain_only)
    for (name, column), (_, again) in zip(plain.columns(), other.columns(), strict=True):
        assert np.array_equal(column, again), name


def test_lengths_are_log_normal_poisson():
    """Mean 0.8 times the real one; variance that of the real lengths plus the Poisson's mean."""
    sizes = np.append(np.tile([80, 120], 500), 500)
    table = sessions(sizes, 30)
    attack = Attack(40_000, np.array([0]), np.array([1]), np.random.default_rng(0))
    lengths = drawn_lengths(table, attack)
    mean = 0.8 * sizes.mean()
    assert lengths.mean() == pytest.approx(mean, rel=0.01)
    assert lengths.var() == pytest.approx(sizes.var() + mean, rel=0.03)


def test_gaps_have_seven_tenths_of_the_real_mean():
    """Real gaps of 50 and 150 seconds: mean 100, deviation 50, so the shape is 1.2 * 70 / 50."""
    steps = np.tile(np.arange(21), 60)
    time = np.cumsum(np.where(steps, np.where(steps % 2, 50, 150), 10_000))
    user = np.repeat(np.arange(60), 21)
    columns = {"user": user, "sequence": user, "step": steps, "item": steps, "time": time}
    attack = Attack(1, np.array([0]), np.array([1]), np.random.default_rng(0))
    times = drawn_times(Interactions.prepared(columns), np.full(2000, 20), attack).reshape(-1, 20)
    gaps = np.diff(times, axis=1)
    shape = 1.2 * 70 / 50
    ratio = math.gamma(1 + 2 / shape) / math.gamma(1 + 1 / shape) ** 2
    assert gaps.mean() == pytest.approx(70, rel=0.01)
    assert gaps.std() == pytest.approx(70 * math.sqrt(ratio - 1), rel=0.02)


@pytest.mark.parametrize(
    "times",
    [
        [0] * 12,
        list(range(12)),
        # one gap of 10**15: the unbounded shape would overflow the gamma function
        [*range(11), 10**15],
    ],
)
def test_any_times_give_fakes_inside_them(times):
    table = profiles([list(range(12)), [0, 1, 2, 3]] * 30, times=[*times, 0, 0, 0, 0] * 30)
    times = by_fake(poison_of("session_based", table, ratio=0.3, num_targets=1), "time")
    assert all(own == sorted(own) for own in times)
    assert all(own[0] >= 0 and own[-1] <= table.time.max() for own in times)


@hypothesis_settings(max_examples=60)
@given(
    st.sampled_from(TASKS),
    st.integers(0, 10**6),
    st.floats(0.001, 0.6),
    st.integers(1, 12),
    st.sampled_from(["bandwagon", "average", "random", "push"]),
)
def test_what_holds_of_all_fakes(task, seed, ratio, num_targets, attack):
    real = TABLES[task]
    options = {"ratio": ratio, "num_targets": num_targets, "attack": attack}
    chain = build("spam", real, task, seed, **options)
    poison = chain.poison
    assert poison is not None
    assert len(chain) == math.ceil(ratio * real.num_sequences / (1 - ratio) - 1e-9)
    assert chain.items.sum() == num_targets
    longest = np.bincount(real.sequence).max()
    for items, steps in zip(by_fake(poison, "item"), by_fake(poison, "step"), strict=True):
        length = steps[-1] + 1
        assert 4 <= length <= longest
        assert chain.items[items].any()
    whole = real.appended(poison)
    for mark in (1, 2, 3, 4):
        gone = chain.rows(chain.marks[mark - 1])
        assert gone.min() >= len(real)
        assert len(whole.without(gone)) + len(gone) == len(whole)
    assert np.array_equal(whole.without(chain.rows()).row, real.row)


@pytest.mark.parametrize("unknown", ["", "next_song"])
def test_a_task_without_fakes(unknown):
    text = rf"^no fakes can be made for task '{unknown}'. Known: cf, session_based, next_basket$"
    with pytest.raises(ScenarioError, match=text):
        build("spam", SESSIONS, unknown)


def test_too_few_items_to_promote():
    text = r"^num_targets is 13, but only 12 of 60 items are unpopular; lower it$"
    with pytest.raises(ScenarioError, match=text):
        build("spam", SESSIONS, "session_based", num_targets=13)


def test_what_the_tables_say():
    scenario = Spam(Spam.Settings(attack="average", ratio=0.02))
    assert (scenario.category, scenario.fraction) == ("average", 0.02)
