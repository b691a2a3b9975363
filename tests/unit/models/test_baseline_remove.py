"""What baselines are after rows were taken out of them: what a fit without the rows makes."""

import pytest
import torch

from erase_ray.models import MODELS, Shape
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.models._session_index import SessionIndex
from tests.unit.models._baselines import fitted, rows_of, windows

NAMES = [name for name in MODELS.names() if not MODELS.get(name).learns]
NUM_USERS, NUM_ITEMS = 25, 16


def drawn_rows(seed, num_rows=240) -> TrainingRows:
    """Rows of sessions of some people, with repeats, and times of which many are the same."""
    generator = torch.Generator().manual_seed(seed)
    sequence_N = torch.randint(60, (num_rows,), generator=generator).sort().values
    user_of = torch.randint(NUM_USERS, (60,), generator=generator)
    item_N = (torch.rand(num_rows, generator=generator) ** 2 * NUM_ITEMS).long()
    step_N = torch.arange(num_rows)
    # a session takes some seconds and begins on one of nine days
    day_S = torch.randint(9, (60,), generator=generator)
    time_N = day_S[sequence_N] * 4 + torch.randint(3, (num_rows,), generator=generator)
    first_N = torch.searchsorted(sequence_N, sequence_N)
    time_N = torch.stack([time_N[f : n + 1].max() for n, f in enumerate(first_N.tolist())])
    return TrainingRows(user_of[sequence_N], sequence_N, step_N, item_N, time_N)


def requests(rows, seed, users_at_once=1):
    """Bool masks of the rows of some people; now and then of all that they have."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.ones(len(rows), dtype=torch.bool)
    while left.any():
        present = rows.user_N[left].unique()
        order = torch.randperm(len(present), generator=generator)
        own = left & torch.isin(rows.user_N, present[order[:users_at_once]])
        some = torch.rand(len(rows), generator=generator) < 0.3
        gone = own & some if (own & some).any() else own
        left = left & ~gone
        yield gone, left, own


def chained(name, rows, masks, **settings):
    """A model after each request, with the mask of what is left and the figures."""
    model = fitted(name, rows, NUM_ITEMS, NUM_USERS, **settings)
    for gone, left, own in masks:
        figures = model.remove(rows.of(gone), rows.of(own & ~gone))
        if model.has_edges:
            model.drop_edges(rows.user_N[gone], rows.item_N[gone])
        yield model, left, figures


def refitted(name, rows, left, **settings):
    return fitted(name, rows.of(left), NUM_ITEMS, NUM_USERS, **settings)


def assert_same_state(name, model, fresh):
    expected = fresh.state_dict()
    for key, value in model.state_dict().items():
        if name == "ease":
            largest = float(expected[key].abs().max())
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-11 * largest)
        else:
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("users_at_once", [1, 6])
@pytest.mark.parametrize("name", NAMES)
def test_down_to_the_last_row_it_is_what_a_fit_makes(name, users_at_once):
    rows, num = drawn_rows(5), 0
    for model, left, figures in chained(name, rows, requests(rows, 7, users_at_once)):
        assert_same_state(name, model, refitted(name, rows, left))
        assert all(isinstance(value, float) for value in figures.values())
        num += 1
    assert num > 8
    assert not left.any()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("itemknn", {"k": 1}),
        ("itemknn", {"k": 3}),
        ("itemknn", {"k": 3, "shrink": 2.0, "nearest_of": "owned"}),
        ("ease", {"l2": 0.5}),
        ("ease", {"l2": 10.0, "max_error": 1e-300}),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_with_other_settings_and_rows(name, settings, seed):
    rows = drawn_rows(seed)
    for model, left, _ in chained(name, rows, requests(rows, seed), **settings):
        assert_same_state(name, model, refitted(name, rows, left, **settings))


@pytest.mark.parametrize("name", NAMES)
def test_an_item_of_everybody_goes(name):
    rows = drawn_rows(3)
    gone = rows.item_N == 0
    own = torch.isin(rows.user_N, rows.user_N[gone])
    [(model, left, _)] = chained(name, rows, [(gone, ~gone, own)])
    assert_same_state(name, model, refitted(name, rows, left))


def test_a_model_that_cannot_says_so():
    class Stubborn(Baseline):
        name = "stubborn"

        def fit(self, rows):
            pass

        def scores(self, batch):
            return torch.zeros(1, 1)

    rows = rows_of([0], [0])
    with pytest.raises(NotImplementedError, match="model 'stubborn' cannot take rows out again"):
        Stubborn(None, Shape(1, 1)).remove(rows, rows)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_rows_that_were_never_seen_are_a_bug(name):
    rows = rows_of([0, 0, 1], [0, 1, 0])
    model = fitted(name, rows, 5, 9)
    with pytest.raises(AssertionError):
        model.remove(rows_of([3], [4]), rows_of([], []))


def test_counts_of_popularity_and_their_norm():
    model = fitted("pop", rows_of([0, 0, 0, 1], [2, 2, 1, 2]), 4)
    figures = model.remove(rows_of([0, 0], [2, 2]), rows_of([0], [1]))
    assert model.count_I.tolist() == [0, 1, 1, 0]
    assert figures == {"step_norm": 2.0}


def test_only_the_lists_that_may_change_are_made_anew():
    """Items 0 to 2 and 3 to 5 are of different people."""
    users, items = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3], [0, 1, 2, 0, 1, 3, 4, 5, 3, 4]
    rows = rows_of(users, items)
    model = fitted("itemknn", rows, 6, k=1)
    before = model.neighbour_IK.clone(), model.similarity_IK.clone()
    gone = torch.tensor([user == 1 and item == 1 for user, item in zip(users, items, strict=True)])
    own = rows.user_N == 1
    figures = model.remove(rows.of(gone), rows.of(own & ~gone))
    # the list of item 1, which went, and of item 0, whose only neighbour is now one of two
    assert figures == {"num_lists": 3.0, "num_counted": 2.0}
    assert torch.equal(model.neighbour_IK[3:], before[0][3:])
    assert torch.equal(model.similarity_IK[3:], before[1][3:])
    left = rows.of(~gone)
    fresh = fitted("itemknn", left, 6, k=1)
    assert torch.equal(model.neighbour_IK, fresh.neighbour_IK)


def test_a_session_without_its_last_row_is_an_earlier_one():
    sessions, items, times = [0, 0, 1, 1, 2], [0, 1, 0, 2, 3], [3, 30, 10, 20, 5]
    rows = rows_of(sessions, items, sessions, times)
    model = fitted("sknn", rows, 5, num_recent=1)
    assert model.rank_S.tolist() == [0, 1, 2]
    assert model.scores(windows([0]))[0].tolist() == [0.5, 0.5, 0, 0, 0]
    gone = torch.tensor([False, True, False, False, False])
    model.remove(rows.of(gone), rows_of([0], [0], [0], [3]))
    assert model.rank_S.tolist() == [2, 0, 1]
    assert model.scores(windows([0]))[0].tolist() == [0.5, 0, 0.5, 0, 0]


@pytest.mark.parametrize("few", [0, 256])
def test_long_and_short_ways_to_splice_are_the_same(few, monkeypatch):
    monkeypatch.setattr("erase_ray.models._splice.FEW", few)
    rows = drawn_rows(11)
    index = SessionIndex.of(rows, NUM_ITEMS)
    for gone, left, _ in requests(rows, 13, users_at_once=3):
        number_A = rows.sequence_N[gone].unique()
        index = index.changed(number_A, rows.of(left & torch.isin(rows.sequence_N, number_A)))
        fresh = vars(SessionIndex.of(rows.of(left), NUM_ITEMS))
        assert all(torch.equal(value, fresh[name]) for name, value in vars(index).items())
