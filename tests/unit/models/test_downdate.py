"""The inverse of X'X + l2 I while rows leave X, against inverting again."""

import pytest
import torch

from erase_ray.models import MODELS
from erase_ray.models._downdate import GramChange
from tests.unit.models._baselines import fitted, no_rows, random_rows, rows_of


def dense(rows, num_users=30, num_items=17):
    counts = torch.zeros(num_users, num_items, dtype=torch.float64)
    return counts.index_put((rows.user_N, rows.item_N), torch.ones(()).double(), accumulate=True)


def gram(rows, l2=0.5):
    return dense(rows).T @ dense(rows) + l2 * torch.eye(17, dtype=torch.float64)


def cut(rows, gone):
    """Rows that go, what the same people keep, and all that is left."""
    own = torch.isin(rows.user_N, rows.user_N[gone])
    return rows.of(gone), rows.of(own & ~gone), rows.of(~gone)


RANKS = [
    # one person, some rows; one person, all rows; one item of everybody; two items; many of both
    (lambda rows: (rows.user_N == 3) & (rows.item_N > 2), 2),
    (lambda rows: rows.user_N == 3, 2),
    (lambda rows: rows.item_N == 0, 2),
    (lambda rows: rows.item_N < 2, 4),
    (lambda rows: (rows.user_N < 5) & (rows.item_N < 9), 10),
]


@pytest.mark.parametrize(("which", "rank"), RANKS)
@pytest.mark.parametrize("seed", range(2))
def test_change_and_update_are_those_of_the_dense_matrices(seed, which, rank):
    rows = random_rows(seed)
    gone, kept, left = cut(rows, which(rows))
    before_II, after_II = gram(rows), gram(left)
    change = GramChange.of(gone, kept, 17)
    assert change.rank == rank
    vector_I = torch.linspace(-1, 2, 17, dtype=torch.float64)
    torch.testing.assert_close(change.times(vector_I), (after_II - before_II) @ vector_I)
    inverse_II, expected_II = before_II.inverse(), after_II.inverse()
    step_norm = (expected_II - inverse_II).norm().item()
    assert change.update(inverse_II) == pytest.approx(step_norm, rel=1e-9)
    torch.testing.assert_close(inverse_II, expected_II, rtol=0, atol=1e-12)


def test_one_person_and_two_items_worked_by_hand():
    """X'X + 2 I goes from [[4, 1], [1, 3]] to [[3, 0], [0, 2]]."""
    change = GramChange.of(rows_of([0, 0], [0, 1]), no_rows(), 2)
    inverse_II = torch.tensor([[3.0, -1.0], [-1.0, 4.0]], dtype=torch.float64) / 11
    change.update(inverse_II)
    expected = torch.tensor([[1 / 3, 0], [0, 1 / 2]], dtype=torch.float64)
    torch.testing.assert_close(inverse_II, expected)


def test_pieces_change_nothing(monkeypatch):
    rows = random_rows(1)
    parts = cut(rows, rows.item_N < 2)[:2]
    whole = GramChange.of(*parts, 17)
    monkeypatch.setattr("erase_ray.models._downdate.MOST_CELLS", 6)
    for name, value in vars(GramChange.of(*parts, 17)).items():
        assert torch.equal(value, vars(whole)[name])


def many_rows(num_users=2000, num_items=40):
    generator = torch.Generator().manual_seed(6)
    user_N = torch.randint(num_users, (8000,), generator=generator).sort().values
    item_N = (torch.rand(8000, generator=generator) ** 2 * num_items).long()
    return rows_of_tensors(user_N, item_N)


def rows_of_tensors(user_N, item_N):
    rows = no_rows()
    step_N = torch.zeros_like(user_N)
    return type(rows)(user_N, user_N, step_N, item_N, step_N)


def test_errors_of_a_thousand_down_dates():
    """They stay near the unit of float64, and are what the model says they are."""
    rows = many_rows()
    model = fitted("ease", rows, 40, 2000, l2=5.0)
    for user in range(1000):
        gone = rows.user_N == user
        if not gone.any():
            continue
        figures = model.remove(rows.of(gone), no_rows())
        assert figures["refitted"] == 0
        model.drop_edges(rows.user_N[gone], rows.item_N[gone])
    fresh = fitted("ease", rows.of(rows.user_N >= 1000), 40, 2000, l2=5.0)
    error = ((model.inverse_II - fresh.inverse_II).norm() / fresh.inverse_II.norm()).item()
    assert 0 < error < 1e-13
    assert error / 10 < figures["error"] < error * 10
    torch.testing.assert_close(model.weights(), fresh.weights(), rtol=1e-6, atol=1e-9)


def test_an_error_that_is_there_is_seen_and_mended():
    rows = many_rows()
    model = fitted("ease", rows, 40, 2000, max_error=1e-5)
    gone = rows.user_N == 3
    clean = model.inverse_II.clone()
    for share, refitted in ((1e-7, 0.0), (1e-3, 1.0)):
        noise_II = torch.randn(40, 40, generator=torch.Generator().manual_seed(2)).double()
        model.inverse_II.copy_(clean + noise_II * share * clean.norm() / noise_II.norm())
        figures = model.remove(rows.of(gone), no_rows())
        assert figures["refitted"] == refitted
        assert share / 3 < figures["error"] < share * 3
    fresh = fitted("ease", rows.of(~gone), 40, 2000)
    assert torch.equal(model.inverse_II, fresh.inverse_II)
    # the edges are as they were, for whoever drops them
    assert torch.equal(model.own.squares(), fitted("ease", rows, 40, 2000).own.squares())


def test_where_inverting_is_cheaper_it_is_done():
    rows = random_rows(2)
    model = fitted("ease", rows, 17, 30)
    gone = (rows.user_N < 5) & (rows.item_N < 9)
    assert model.remove(*cut(rows, gone)[:2]) == {"refitted": 1.0}
    fresh = fitted("ease", rows.of(~gone), 17, 30)
    assert torch.equal(model.inverse_II, fresh.inverse_II)


def test_max_error_has_a_bound():
    with pytest.raises(ValueError, match=r"max_error\n\s+Input should be greater than 0"):
        MODELS.get("ease").Settings(max_error=0.0)
