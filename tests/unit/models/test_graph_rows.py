import pytest
import torch

from erase_ray.models import _graph_rows
from erase_ray.models._graph import Graph
from erase_ray.models._graph_rows import Rows, propagate_rows

USERS, ITEMS = 60, 50


@pytest.fixture
def graph():
    """A graph with few edges a node, some of them dropped."""
    generator = torch.Generator().manual_seed(0)
    user_E = torch.randint(USERS, (150,), generator=generator)
    item_E = torch.randint(ITEMS, (150,), generator=generator)
    made = Graph.of(user_E, item_E, (USERS, ITEMS), collapses=False)
    made.drop(user_E[:20], item_E[:20])
    return made


@pytest.fixture
def taken(monkeypatch):
    """Notes the rows that were propagated alone."""
    seen = []
    plain = _graph_rows._RowsOfPropagation.forward

    def noted(ctx, ego_ND, weight, rows, num_layers):
        seen.append(rows.node_R.tolist())
        return plain(ctx, ego_ND, weight, rows, num_layers)

    monkeypatch.setattr(_graph_rows._RowsOfPropagation, "forward", staticmethod(noted))
    return seen


NODES = torch.tensor([3, 80, 3, 109])


def table(width=4, dtype=torch.float64):
    return torch.randn(
        USERS + ITEMS, width, generator=torch.Generator().manual_seed(3), dtype=dtype
    )


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_rows_are_those_of_the_whole_to_the_bit(graph, taken, num_layers):
    ego_ND = table(64, torch.float32)
    whole_ND = graph.propagate(ego_ND, num_layers)
    assert torch.equal(propagate_rows(graph, ego_ND, num_layers, NODES), whole_ND[NODES])
    assert taken == [[3, 80, 109]]


@pytest.mark.parametrize("num_layers", [1, 3])
def test_gradient_is_that_of_the_whole(graph, taken, num_layers):
    weight_TD = torch.randn(4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    grads = []
    for rows in (
        lambda ego_ND: propagate_rows(graph, ego_ND, num_layers, NODES),
        lambda ego_ND: graph.propagate(ego_ND, num_layers)[NODES],
    ):
        ego_ND = table().requires_grad_()
        grads += torch.autograd.grad((rows(ego_ND) * weight_TD).sum(), ego_ND)
    torch.testing.assert_close(*grads)
    assert len(taken) == 1


def test_can_be_differentiated_twice(graph, taken):
    def bent(ego_ND):
        return propagate_rows(graph, ego_ND, 2, NODES).square()

    ego_ND = table(1).requires_grad_()
    assert torch.autograd.gradcheck(bent, ego_ND)
    assert torch.autograd.gradgradcheck(bent, ego_ND)
    assert taken


def test_many_rows_are_taken_from_the_whole(graph, taken):
    node_T = torch.arange(40)
    rows_TD = propagate_rows(graph, table(), 2, node_T)
    assert torch.equal(rows_TD, graph.propagate(table(), 2)[:40])
    assert not taken


def test_rows_with_many_entries_are_taken_from_the_whole(taken):
    user_E = torch.cat([torch.zeros(ITEMS, dtype=torch.int64), torch.arange(USERS)])
    item_E = torch.cat([torch.arange(ITEMS), torch.zeros(USERS, dtype=torch.int64)])
    graph = Graph.of(user_E, item_E, (USERS, ITEMS), collapses=True)
    node_T = torch.tensor([0])
    rows_TD = propagate_rows(graph, table(), 2, node_T)
    assert torch.equal(rows_TD, graph.propagate(table(), 2)[:1])
    assert not taken


def test_edges_that_change_before_the_backward_pass_are_noticed(graph, taken):
    rows_TD = propagate_rows(graph, table().requires_grad_(), 2, NODES)
    key_G, count_G = graph.pairs()
    key = key_G[count_G > 0][:1]
    graph.drop(key // ITEMS, key % ITEMS)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rows_TD.sum().backward()
    assert taken


def test_spread_is_the_transpose_of_product(graph):
    rows = Rows(graph, torch.tensor([0, 7, 100]))
    identity_NN = torch.eye(USERS + ITEMS)
    assert torch.equal(rows.product(identity_NN).T, rows.spread(torch.eye(3)))
    assert rows.product(identity_NN).sum(1).tolist() == graph.degree[[0, 7, 100]].tolist()
