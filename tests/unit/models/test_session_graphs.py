import pytest
import torch

from erase_ray.models._flat import Flat
from erase_ray.models._session_graphs import SessionGraphs
from erase_ray.tasks._batches import WindowBatch


def flat_of(windows, known=True):
    longest = max(len(window) for window in windows)
    rows = [window + [9] * (longest - len(window)) for window in windows]
    lengths = [len(window) for window in windows]
    sizes = tuple(sum(n > step for n in lengths) for step in range(longest)) if known else None
    return Flat.of(WindowBatch(torch.tensor(rows), torch.tensor(lengths), sizes=sizes))


def graphs_of(windows):
    return SessionGraphs.of(flat_of(windows), num_items=10, dtype=torch.float64)


def items_of(graphs):
    return graphs.item_U[graphs.place_M]


def edges_of(graphs):
    """Edges that weigh something, as (source item, target item, in, out)."""
    columns = (
        items_of(graphs)[graphs.source_E],
        items_of(graphs)[graphs.target_E],
        graphs.in_E,
        graphs.out_E,
    )
    return [edge for edge in zip(*(c.tolist() for c in columns), strict=True) if any(edge[2:])]


@pytest.mark.parametrize("known", [True, False])
def test_flat_rows(known):
    flat = flat_of([[4, 1], [7], [2, 6, 0]], known)
    assert flat.item_N.tolist() == [4, 1, 7, 2, 6, 0]
    assert flat.window_N.tolist() == [0, 0, 1, 2, 2, 2]
    assert flat.step_N.tolist() == [0, 1, 0, 0, 1, 2]
    assert (flat.first_B.tolist(), flat.last_B.tolist()) == ([0, 2, 3], [1, 2, 5])
    assert flat.longest == 3
    assert flat.padded().tolist() == [[0, 1, 1], [2, 2, 2], [3, 4, 5]]
    assert flat.followers().tolist() == [1, 4, 5]


def test_worked_example():
    """5, 2, 5, 3: an edge reaches 5 from 2, edges leave it to 2 and 3."""
    graphs = graphs_of([[5, 2, 5, 3]])
    assert items_of(graphs).tolist() == [2, 3, 5]
    assert graphs.count_M.tolist() == [1, 1, 2]
    assert graphs.last_B.tolist() == [1]
    assert edges_of(graphs) == [(2, 5, 1, 1), (5, 2, 1, 0.5), (5, 3, 1, 0.5)]


def test_a_repeated_transition_is_one_edge():
    graphs = graphs_of([[1, 2, 1, 2, 3, 2]])
    assert edges_of(graphs) == [(1, 2, 0.5, 1), (2, 1, 1, 0.5), (2, 3, 1, 0.5), (3, 2, 0.5, 1)]


def test_an_item_twice_in_a_row_is_an_edge_to_itself():
    assert edges_of(graphs_of([[8, 8]])) == [(8, 8, 1, 1)]


def test_windows_share_no_node():
    graphs = graphs_of([[3, 4], [4, 3], [4]])
    assert items_of(graphs).tolist() == [3, 4, 3, 4, 4]
    assert graphs.window_M.tolist() == [0, 0, 1, 1, 2]
    assert graphs.last_B.tolist() == [1, 2, 4]
    assert edges_of(graphs) == [(3, 4, 1, 1), (4, 3, 1, 1)]


def test_windows_of_one_item_have_no_edges():
    graphs = graphs_of([[3], [3]])
    assert items_of(graphs).tolist() == [3, 3]
    assert len(graphs.source_E) == 0


def test_distinct_items_of_all_windows():
    graphs = graphs_of([[3, 4], [4, 8], [4]])
    assert graphs.item_U.tolist() == [3, 4, 8]
    assert graphs.place_M.tolist() == [0, 1, 1, 2, 1]


def test_the_same_graphs_on_devices_that_are_not_waited_for():
    windows = [[5, 2, 5, 3], [1, 1, 1], [4, 5, 4]]
    flat = flat_of(windows)
    tight, loose = graphs_of(windows), SessionGraphs.of(flat, 10, torch.float64, waits=False)
    assert loose.count_M.tolist() == [*tight.count_M.tolist(), 0, 0, 0, 0]
    assert loose.item_U.tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 0, 0]
    assert items_of(loose).tolist() == [*items_of(tight).tolist(), 0, 0, 0, 0]
    assert loose.window_M.tolist() == [*tight.window_M.tolist(), 0, 0, 0, 0]
    assert loose.last_B.tolist() == tight.last_B.tolist()
    assert edges_of(loose) == edges_of(tight)
