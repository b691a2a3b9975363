"""Windows, on a table that can be checked by eye and against a slow twin."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.tasks import Cut
from erase_ray.tasks.session_based import SessionBased

CUT = Cut(2, torch.device("cpu"))
TASK = SessionBased()


def table(sessions: list[list[int]], users: list[int], times: list[int] | None = None):
    """Rows of the sessions; ``times`` is the time of each session's rows, its number by default."""
    sizes = [len(session) for session in sessions]
    return Interactions.prepared(
        {
            "user": np.repeat(users, sizes),
            "sequence": np.repeat(np.arange(len(sessions)), sizes),
            "step": np.concatenate([np.arange(size) for size in sizes]),
            "item": np.concatenate(sessions),
            "time": np.repeat(times or list(range(len(sessions))), sizes),
        }
    )


@pytest.fixture
def data() -> Interactions:
    """Rows 0-4 are session 0 (user 0), 5-6 session 1 (user 1), 7 session 2 (user 0)."""
    return table([[3, 1, 2, 0, 4], [2, 4], [1]], [0, 1, 0])


@pytest.fixture
def split(data):
    return TASK.split(data)


def windows(examples) -> list[list[int]]:
    batch = examples.inputs(torch.arange(len(examples)))
    return [
        row[:length]
        for row, length in zip(batch.items_BL.tolist(), batch.length_B.tolist(), strict=True)
    ]


def targets(examples) -> list[int]:
    target = examples.batch(torch.arange(len(examples)), 0).target_B
    assert target is not None
    return target.tolist()


def test_split_cuts_the_targets_of_each_session(split):
    # session 0 has four targets: 2 train, 1 valid, 1 test
    assert split.marks.tolist() == [0, 0, 0, 1, 2, 0, 0, 0]


def test_examples_are_training_rows_with_something_before_them(data, split):
    examples = TASK.examples(data, split, CUT)
    assert examples.rows.tolist() == [1, 2, 6]
    assert examples.users.tolist() == [0, 0, 1]
    assert windows(examples) == [[3], [3, 1], [2]]
    assert targets(examples) == [1, 2, 4]


def test_batches_are_as_wide_as_their_longest_window_and_zero_behind(data, split):
    examples = TASK.examples(data, split, CUT)
    assert examples.inputs(torch.tensor([0, 2])).items_BL.tolist() == [[3], [2]]
    assert examples.inputs(torch.tensor([1, 0])).items_BL.tolist() == [[3, 1], [3, 0]]
    assert examples.take(torch.tensor([1])).inputs(torch.tensor([0])).items_BL.tolist() == [[3, 1]]


def test_a_forgotten_row_leaves_target_and_history(data, split):
    examples = TASK.examples(data.without(np.array([1, 5])), split, CUT)
    assert examples.rows.tolist() == [2]
    assert windows(examples) == [[3]]
    assert targets(examples) == [2]


def test_the_window_reaches_past_a_forgotten_row(data, split):
    queries = TASK.queries(data.without(np.array([2])), split, Part.TEST, CUT)
    assert windows(queries.inputs) == [[1, 0]]


@pytest.mark.parametrize(
    ("part", "row", "window", "relevant"),
    [(Part.VALID, 3, [1, 2], [0]), (Part.TEST, 4, [2, 0], [4])],
)
def test_queries_see_the_true_history_and_mask_nothing(data, split, part, row, window, relevant):
    queries = TASK.queries(data, split, part, CUT)
    assert queries.inputs.rows.tolist() == [row]
    assert queries.users.tolist() == [0]
    assert windows(queries.inputs) == [window]
    assert queries.relevant.values.tolist() == relevant
    assert queries.relevant.offsets.tolist() == [0, 1]
    assert queries.masked.values.size == 0


def test_probe_shows_the_latest_session_with_something_left(data, split):
    probe = TASK.probe(data, split, np.array([1, 0]), CUT)
    assert probe.users.tolist() == [1, 0]
    assert probe.inputs.rows.tolist() == [6, 7]
    assert windows(probe.inputs) == [[2, 4], [1]]
    left = TASK.probe(data.without(np.array([5, 6, 7])), split, np.array([1, 0]), CUT)
    assert left.users.tolist() == [0]
    assert left.inputs.rows.tolist() == [4]
    assert windows(left.inputs) == [[0, 4]]
    assert not left.inputs.aims_at(torch.ones(5, dtype=torch.bool)).any()


@pytest.mark.parametrize(
    ("times", "window"), [([9, 1, 5], [1]), ([5, 1, 5], [3]), ([0, 1, 2], [3])]
)
def test_latest_is_by_time_then_by_number(times, window):
    data = table([[1], [2], [3]], [0, 1, 0], times)
    probe = TASK.probe(data, TASK.split(data), np.array([0]), CUT)
    assert windows(probe.inputs) == [window]


def test_no_rows_give_nothing(data, split):
    nothing = data.only(np.zeros(0, np.int64))
    examples = TASK.examples(nothing, split, CUT)
    assert len(examples) == 0
    assert len(examples.batch(torch.arange(0), 1)) == 0
    assert examples.fingerprints().tolist() == []
    assert len(TASK.queries(nothing, split, Part.TEST, CUT)) == 0
    assert len(TASK.probe(nothing, split, np.array([0]), CUT)) == 0


def test_fingerprints_change_where_the_window_changes(data, split):
    before = TASK.examples(data, split, CUT).fingerprints().tolist()
    without_first = TASK.examples(data.without(np.array([0])), split, CUT)
    assert without_first.rows.tolist() == [2, 6]
    after = without_first.fingerprints().tolist()
    assert after[0] != before[1]
    assert after[1] == before[2]
    assert len(set(before)) == 3


def test_a_row_that_the_window_does_not_reach_leaves_the_fingerprint(data):
    split = TASK.split(data)
    split.marks[:] = 0
    before = TASK.examples(data, split, CUT)
    after = TASK.examples(data.without(np.array([0])), split, CUT)
    assert before.rows.tolist() == [1, 2, 3, 4, 6]
    assert after.rows.tolist() == [2, 3, 4, 6]
    assert before.fingerprints()[2:].tolist() == after.fingerprints()[1:].tolist()
    assert before.fingerprints()[1] != after.fingerprints()[0]


def test_aims_at_marked_targets(data, split):
    marked = torch.zeros(5, dtype=torch.bool)
    marked[2] = True
    assert TASK.examples(data, split, CUT).aims_at(marked).tolist() == [False, True, False]


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=14), min_size=1, max_size=6),
    st.sets(st.integers(0, 60)),
    st.integers(1, 5),
)
def test_examples_are_those_of_a_slow_twin(sessions, forgotten, max_history):
    data = table(sessions, [number % 3 for number in range(len(sessions))])
    split = TASK.split(data)
    left = data.without(np.array(sorted(forgotten), np.int64))
    examples = TASK.examples(left, split, Cut(max_history, CUT.device))
    expected = []
    for sequence in range(len(sessions)):
        rows = [row for row in left.row.tolist() if data.sequence[row] == sequence]
        for place, row in enumerate(rows):
            if place and split.marks[row] == 0:
                window = rows[max(0, place - max_history) : place]
                expected.append((row, data.item[window].tolist(), int(data.item[row])))
    found = zip(examples.rows.tolist(), windows(examples), targets(examples), strict=True)
    assert list(found) == expected
