import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from erase_ray.models._graph import Graph

USERS, ITEMS = 7, 9


def edges(seed=0, number=40, users=USERS, items=ITEMS):
    """Random edges, several of them more than once; the last user and item have none."""
    generator = torch.Generator().manual_seed(seed)
    user_E = torch.randint(users - 1, (number,), generator=generator)
    item_E = torch.randint(items - 1, (number,), generator=generator)
    return user_E, item_E


def graph_of(user_E, item_E, collapses=False, users=USERS, items=ITEMS):
    return Graph.of(user_E, item_E, (users, items), collapses)


def dense(user_E, item_E, collapses, users=USERS, items=ITEMS):
    """``D^-1/2 A D^-1/2`` in float64, entry by entry."""
    size = users + items
    weight_NN = torch.zeros(size, size, dtype=torch.float64)
    for user, item in zip(user_E.tolist(), item_E.tolist(), strict=True):
        weight_NN[user, users + item] += 1
        weight_NN[users + item, user] += 1
    if collapses:
        weight_NN = (weight_NN > 0).double()
    degree_N = weight_NN.sum(1)
    scale_N = torch.where(degree_N > 0, degree_N.rsqrt(), 0.0)
    return scale_N[:, None] * weight_NN * scale_N


def table(size=USERS + ITEMS, width=5, dtype=torch.float64):
    return torch.randn(size, width, generator=torch.Generator().manual_seed(3), dtype=dtype)


def same(first, second):
    """Both have the same edges, degrees and results, the latter to the bit."""
    assert torch.equal(first.degree, second.degree)
    ego_ND = table(len(first.degree), 64, torch.float32)
    assert torch.equal(first.propagate(ego_ND, 3), second.propagate(ego_ND, 3))
    return True


def test_two_layers_by_hand():
    # user 0 has items 0 and 1, user 1 has item 1; item 2 stands alone
    graph = graph_of(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), users=2, items=3)
    ego_N1 = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]], dtype=torch.float64)
    root = math.sqrt(2)
    once = [3 / root + 4 / 2, 4 / root, 1 / root, 1 / 2 + 2 / root, 0]
    twice = [once[2] / root + once[3] / 2, once[3] / root, once[0] / root, 0, 0]
    twice[3] = once[0] / 2 + once[1] / root
    expected = [[(a + b + c) / 3] for a, b, c in zip([1, 2, 3, 4, 5], once, twice, strict=True)]
    torch.testing.assert_close(graph.propagate(ego_N1, 2), torch.tensor(expected).double())


@pytest.mark.parametrize("collapses", [True, False])
@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_propagation_is_the_mean_of_powers_of_the_dense_matrix(collapses, num_layers):
    pairs = edges()
    assert len(set(zip(*(side.tolist() for side in pairs), strict=True))) < 40
    matrix_NN, power_ND = dense(*pairs, collapses), table()
    expected_ND = power_ND.clone()
    for _ in range(num_layers):
        power_ND = matrix_NN @ power_ND
        expected_ND += power_ND
    graph = graph_of(*pairs, collapses)
    actual_ND = graph.propagate(table(), num_layers)
    torch.testing.assert_close(actual_ND, expected_ND / (num_layers + 1))
    single_ND = graph.propagate(table().float(), num_layers)
    torch.testing.assert_close(single_ND, actual_ND.float())


@pytest.mark.parametrize("collapses", [True, False])
def test_propagation_can_be_differentiated_twice(collapses):
    graph = graph_of(*edges(), collapses)
    ego_ND = table(width=2).requires_grad_()

    def bent(ego_ND):
        return graph.propagate(ego_ND, 2).square()

    assert torch.autograd.gradcheck(bent, ego_ND)
    assert torch.autograd.gradgradcheck(bent, ego_ND)


def test_nodes_without_edges_get_nothing_and_no_nan():
    graph = graph_of(*edges())
    ego_ND = table()
    result_ND = graph.propagate(ego_ND, 3)
    for node in (USERS - 1, USERS + ITEMS - 1):
        torch.testing.assert_close(result_ND[node], ego_ND[node] / 4)
    assert torch.isfinite(result_ND).all()


def test_a_graph_without_edges_only_divides():
    nothing = torch.zeros(0, dtype=torch.int64)
    graph = graph_of(nothing, nothing)
    torch.testing.assert_close(graph.propagate(table(), 2), table() / 3)
    graph.drop(nothing, nothing)
    with pytest.raises(ValueError, match="cannot drop 1"):
        graph.drop(torch.tensor([0]), torch.tensor([0]))


@pytest.mark.parametrize("collapses", [True, False])
def test_after_drops_and_restores_it_equals_a_graph_built_anew(collapses):
    user_E, item_E = edges(number=60)
    graph, shuffle = graph_of(user_E, item_E, collapses), torch.Generator().manual_seed(9)
    gone_E = torch.zeros(60, dtype=torch.bool)
    for _ in range(6):
        chosen_E = torch.rand(60, generator=shuffle) < 0.3
        drop_E, restore_E = chosen_E & ~gone_E, chosen_E & gone_E
        graph.drop(user_E[drop_E], item_E[drop_E])
        graph.restore(user_E[restore_E], item_E[restore_E])
        gone_E ^= chosen_E
        assert same(graph, graph_of(user_E[~gone_E], item_E[~gone_E], collapses))
    graph.restore(user_E[gone_E], item_E[gone_E])
    assert same(graph, graph_of(user_E, item_E, collapses))


def test_all_edges_of_a_node_can_go():
    user_E, item_E = edges()
    graph, of_user_2 = graph_of(user_E, item_E), user_E == 2
    graph.drop(user_E[of_user_2], item_E[of_user_2])
    assert graph.degree[2] == 0
    result_ND = graph.propagate(table(), 2)
    torch.testing.assert_close(result_ND[2], table()[2] / 3)
    assert same(graph, graph_of(user_E[~of_user_2], item_E[~of_user_2]))


def test_several_edges_between_two_nodes():
    user_E, item_E = torch.tensor([1, 1, 1, 2]), torch.tensor([4, 4, 4, 4])
    one = (torch.tensor([1]), torch.tensor([4]))
    summed, collapsed = graph_of(user_E, item_E), graph_of(user_E, item_E, collapses=True)
    assert summed.degree[[1, 2, USERS + 4]].tolist() == [3, 1, 4]
    assert collapsed.degree[[1, 2, USERS + 4]].tolist() == [1, 1, 2]
    two = (torch.tensor([1, 1]), torch.tensor([4, 4]))
    assert sorted(summed.drop(*two).tolist()) == [1, 2]
    collapsed.drop(*two)
    assert summed.degree[[1, USERS + 4]].tolist() == [1, 2]
    assert collapsed.degree[[1, USERS + 4]].tolist() == [1, 2]
    collapsed.drop(*one)
    assert collapsed.degree[[1, USERS + 4]].tolist() == [0, 1]
    assert summed.restore(*one).tolist() == [1]
    assert summed.degree[[1, USERS + 4]].tolist() == [2, 3]


def test_what_is_not_there_cannot_be_dropped_and_nothing_changes():
    user_E, item_E = torch.tensor([0, 0, 3]), torch.tensor([1, 1, 5])
    graph = graph_of(user_E, item_E)
    cases = [
        ([3, 0, 0, 0], [5, 1, 1, 1], r"drop 3 edge\(s\) .*user 0 and item 1: only 2 are there"),
        ([0, 0], [1, 2], r"drop 1 edge\(s\) .*user 0 and item 2: only 0 are there"),
        ([3, 3], [5, 5], r"drop 2 edge\(s\) .*user 3 and item 5: only 1 is there"),
        ([6], [8], r"drop 1 edge\(s\) .*user 6 and item 8: only 0 are there"),
    ]
    for users, items, text in cases:
        with pytest.raises(ValueError, match=text):
            graph.drop(torch.tensor(users), torch.tensor(items))
    assert same(graph, graph_of(user_E, item_E))


def test_an_edge_of_the_next_row_is_not_mistaken_for_one_of_this_row():
    graph = graph_of(torch.tensor([0, 1]), torch.tensor([1, 5]))
    with pytest.raises(ValueError, match="user 0 and item 5: only 0 are there"):
        graph.drop(torch.tensor([0]), torch.tensor([5]))


def test_only_what_was_dropped_can_be_restored():
    graph = graph_of(torch.tensor([0, 0]), torch.tensor([1, 1]))
    pair = (torch.tensor([0]), torch.tensor([1]))
    with pytest.raises(ValueError, match=r"restore 1 edge\(s\) .*only 0 are dropped before"):
        graph.restore(*pair)
    graph.drop(*pair)
    graph.restore(*pair)
    with pytest.raises(ValueError, match="restore 1 edge"):
        graph.restore(*pair)


@pytest.mark.parametrize(
    ("user", "item", "text"),
    [
        (USERS, 0, f"edge with user {USERS}, but users are 0 to {USERS - 1}"),
        (0, -1, f"edge with item -1, but items are 0 to {ITEMS - 1}"),
    ],
)
def test_ids_must_be_in_their_tables(user, item, text):
    with pytest.raises(ValueError, match=text):
        graph_of(torch.tensor([user]), torch.tensor([item]))
    with pytest.raises(ValueError, match=text):
        graph_of(*edges()).drop(torch.tensor([user]), torch.tensor([item]))


class LargestTensor(TorchDispatchMode):
    """Notes how many entries the largest new tensor has; what is changed in place is not new."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not func._schema.is_mutable and not func.is_view:
            many = result if isinstance(result, tuple | list) else [result]
            sizes = [each.numel() for each in many if isinstance(each, torch.Tensor)]
            self.largest = max(self.largest, *sizes, 0)
        return result


@pytest.mark.parametrize("number", [200, 20_000])
def test_a_drop_looks_at_a_few_entries_however_large_the_graph(number):
    user_E, item_E = edges(number=number, users=300, items=400)
    graph = graph_of(user_E, item_E, users=300, items=400)
    before = graph.weight.clone()
    with LargestTensor() as seen:
        graph.drop(user_E[:10], item_E[:10])
        graph.restore(user_E[:5], item_E[:5])
    assert 10 <= seen.largest <= 40
    assert 0 < (graph.weight != before).sum() <= 20


def test_autograd_notices_edges_that_change_before_the_backward_pass():
    user_E, item_E = edges()
    graph = graph_of(user_E, item_E)
    result_ND = graph.propagate(table().requires_grad_(), 2)
    graph.drop(user_E[:1], item_E[:1])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result_ND.sum().backward()


def test_the_same_whatever_the_number_of_threads():
    pairs = edges(number=5000, users=300, items=400)
    graph = graph_of(*pairs, users=300, items=400)
    ego_ND, threads = table(700, 64, torch.float32), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first_ND = graph.propagate(ego_ND, 2)
    finally:
        torch.set_num_threads(threads)
    torch.set_num_threads(1)
    assert torch.equal(first_ND, graph.propagate(ego_ND, 2))


def test_autocast_leaves_it_alone():
    graph = graph_of(*edges())
    ego_ND = table(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result_ND = graph.propagate(ego_ND, 2)
    assert torch.equal(result_ND, graph.propagate(ego_ND, 2))
