import math

import pytest
import torch
from pydantic import ValidationError

from erase_ray.models import MODELS
from tests.unit.models._baselines import fitted, no_rows, rows_of, windows


def index(sessions, num_items=6, times=None, **settings):
    """A model of the given sessions, whose last rows are in the order of ``times``."""
    times = list(range(len(sessions))) if times is None else times
    spread = [(n, item) for n, session in enumerate(sessions) for item in session]
    numbers, items = map(list, zip(*spread, strict=True))
    # rows of a session before its last are old: their time does not matter
    ends = [items_left == 0 for s in sessions for items_left in range(len(s) - 1, -1, -1)]
    when = [times[n] if end else -5 for n, end in zip(numbers, ends, strict=True)]
    return fitted("sknn", rows_of(numbers, items, numbers, when), num_items, **settings)


def oracle(sessions, times, window, own, num_items, settings):
    """Scores after one window, by loops over sets."""
    window = set(window)
    order = sorted(range(len(sessions)), key=lambda n: (times[n], n), reverse=True)
    sharing = [n for n in order if n != own and window & set(sessions[n])]
    found = []
    for n in sharing[: settings["num_recent"]]:
        other = set(sessions[n])
        both = len(window & other)
        if settings["similarity"] == "jaccard":
            found.append((both / len(window | other), n))
        else:
            found.append((both / math.sqrt(len(window) * len(other)), n))
    found.sort(key=lambda pair: -torch.tensor(pair[0]).item())  # stable: later ones stay first
    scores = torch.zeros(num_items)
    for similarity, n in found[: settings["num_neighbours"]]:
        scores[list(set(sessions[n]))] += similarity
    return scores


def random_sessions(seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 7, (60,), generator=generator)
    draw = [(torch.rand(int(n), generator=generator) ** 2 * 11).long().tolist() for n in lengths]
    times = torch.randint(20, (60,), generator=generator).tolist()
    return draw, times


@pytest.mark.parametrize("similarity", ["jaccard", "cosine"])
@pytest.mark.parametrize(("num_recent", "num_neighbours"), [(1000, 100), (5, 100), (9, 3), (1, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_oracle(seed, num_recent, num_neighbours, similarity):
    sessions, times = random_sessions(seed)
    settings = {
        "num_recent": num_recent,
        "num_neighbours": num_neighbours,
        "similarity": similarity,
    }
    model = index(sessions, 12, times, **settings)
    # windows of known sessions, one of an unknown session, and one of an item nobody has
    asked = [*sessions[:20], [0, 3, 0], [11]]
    own = [*range(20), 777, 5]
    expected = torch.stack(
        [
            oracle(sessions, times, window, number, 12, settings)
            for window, number in zip(asked, own, strict=True)
        ]
    )
    scores = model.scores(windows(*asked, sequences=own))
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)
    assert not scores[-1].any()


def test_jaccard_and_cosine_worked_by_hand():
    sessions = [[0, 1], [1, 2, 3, 1], [4]]
    expected = {"jaccard": (1 / 3, 1 / 4), "cosine": (1 / 2, 1 / math.sqrt(6))}
    for similarity, (first, second) in expected.items():
        scores = index(sessions, similarity=similarity).scores(windows([5, 1, 1]))
        row = torch.tensor([[first, first + second, second, second, 0, 0]])
        torch.testing.assert_close(scores, row)


def test_the_own_session_is_no_neighbour():
    model = index([[0, 1], [0, 2]])
    scores = model.scores(windows([0], [0], [0], sequences=[0, 1, 9]))
    expected = [[0.5, 0, 0.5], [0.5, 0.5, 0], [1, 0.5, 0.5]]
    assert scores[:, :3].tolist() == expected


def test_only_the_latest_sessions_are_candidates():
    sessions = [[0, 1], [0, 2], [0, 3], [0, 4]]
    model = index(sessions, times=[5, 8, 8, 1], num_recent=2)
    assert model.scores(windows([0])).tolist() == [[1, 0, 0.5, 0.5, 0, 0]]
    # the own session takes no place among them
    assert model.scores(windows([0], sequences=[2])).tolist() == [[1, 0.5, 0.5, 0, 0, 0]]


def test_of_two_at_the_same_time_the_higher_number_is_later():
    model = index([[0, 1], [0, 2]], times=[3, 3], num_recent=1)
    assert model.scores(windows([0])).tolist() == [[0.5, 0, 0.5, 0, 0, 0]]


def test_of_equally_similar_neighbours_the_later_one_is_nearer():
    model = index([[0, 1], [0, 2], [0, 3, 4]], times=[9, 3, 10], num_neighbours=1)
    assert model.scores(windows([0])).tolist() == [[0.5, 0.5, 0, 0, 0, 0]]


def test_the_last_training_row_of_a_session_is_in_the_index():
    assert index([[0, 5]]).scores(windows([0]))[0, 5] == 0.5


def test_pieces_and_neighbours_in_the_batch_change_nothing(monkeypatch):
    sessions, times = random_sessions(7)
    model = index(sessions, 12, times, num_recent=9, num_neighbours=4)
    asked = windows(*sessions[:30], sequences=list(range(30)))
    whole = model.scores(asked)
    alone = [model.scores(windows(sessions[n], sequences=[n])) for n in range(30)]
    assert torch.equal(torch.cat(alone), whole)
    for most in (1, 13):
        monkeypatch.setattr("erase_ray.models.sknn.MOST_CANDIDATES", most)
        assert torch.equal(model.scores(asked), whole)


def test_batches_that_do_not_name_sessions():
    model = index([[0, 1]])
    batch = windows([0])
    bare = type(batch)(batch.items_BL, batch.length_B)
    assert torch.equal(model.scores(bare), model.scores(batch))


def test_without_rows_all_scores_are_zero():
    model = fitted("sknn", no_rows(), 3)
    assert model.scores(windows([0, 1], [2], sequences=[0, 4])).tolist() == [[0, 0, 0]] * 2


def test_settings():
    kind = MODELS.get("sknn")
    assert index([[0, 1]], max_length=7).max_history == 7
    assert (kind.Settings().num_recent, kind.Settings().num_neighbours) == (1000, 100)
    with pytest.raises(ValidationError, match=r"similarity\n\s+Input should be 'jaccard' or 'cos"):
        kind.Settings(similarity="dice")
