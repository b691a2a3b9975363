import torch
from reference_toys import ask, build, drawn, lists, seen, small_case, work_of, world_of

from erase_ray.methods import Request
from erase_ray.reference._khop import leading_batches, modified, near_batches, near_users
from erase_ray.reference._view import View
from erase_ray.reference._work import Work


def line() -> tuple[Request, Work]:
    """Person 0 shares an item with 1, 1 with 2, 2 with 3; person 4 stands alone."""
    table = lists([[0, 1], [1, 2], [2, 3], [3, 4], [8, 9]])
    model = build("lightgcn", table)
    request = ask(world_of(model, table), [0])
    everything = request.world.task.examples(
        table, type(request.world.split)(0 * request.world.split.marks), request.world.cut
    )
    own = everything.take(torch.arange(2))
    view = View(own, own.take(torch.arange(1)), everything.take(torch.arange(2, 10)))
    return request, work_of(model, request, view)


def test_near_users():
    _, work = line()
    assert [near_users(work, hops, 100).tolist() for hops in range(6)] == [
        [],
        [],
        [1],
        [1],
        [1, 2],
        [1, 2],
    ]


def test_too_many_near_users_are_a_random_part():
    table = lists([[0, 1], *[[0, 2]] * 30])
    model = build("bpr", table)
    request = ask(world_of(model, table), [0])
    everything = request.world.examples
    view = View(everything.take(torch.arange(1)), everything.take(torch.arange(0)), everything)
    assert len(near_users(work_of(model, request, view), 2, 2)) == 20


def test_near_people_come_first_and_others_fill_up():
    _, work = line()
    batches = near_batches(work, 2, 100)
    assert [sorted(set(batch.user_B.tolist())) for batch in batches] == [[1], [2, 3, 4]]
    assert [len(batch) for batch in near_batches(work, 2, 2)] == [2]
    assert [len(batch) for batch in near_batches(work, 1, 2)] == [8]
    assert [len(batch) for batch in leading_batches(work, "near", 2)] == [8]


def test_the_graph_without_edges_is_nearly_empty_and_has_fakes():
    """Of five people and ten items: the six edges of S that are no own one, and five fakes."""
    _, work = line()
    own = work.view.own.batch(torch.arange(2), 0)
    twin = modified(work, [work.view.retain, work.view.own], [own])
    size = work.model.shape.num_users
    matrix = torch.zeros(size, work.model.shape.num_items)
    for user, items in enumerate([[], [1, 2], [2, 3], [3, 4], [8, 9]]):
        matrix[user, items] = 1
    for j in range(size):
        matrix[j, j] = 1
    whole = torch.zeros(size + 10, size + 10)
    whole[:size, size:], whole[size:, :size] = matrix, matrix.T
    scale = whole.sum(1).clamp(min=1).rsqrt()
    ego = torch.cat([work.model.user_embedding.weight, work.model.item_embedding.weight]).detach()
    step = scale[:, None] * whole * scale
    expected = (ego + step @ ego + step @ step @ ego) / 3
    found = torch.cat(twin._propagated())
    assert torch.allclose(found, expected, atol=1e-6)
    assert twin.graph.num_entries == 2 * int(matrix.sum())


def test_the_model_keeps_its_own_graph_and_shares_its_weights():
    model, request = small_case("sgl")
    model.start_epoch(1)
    view, graph, views = seen(request, 8, 32), model.graph, model._views
    work = work_of(model, request, view)
    twin = modified(work, [view.retain, view.clean], [])
    assert twin.graph is not graph
    assert model.graph is graph
    assert twin._views is views
    assert twin.user_embedding.weight is model.user_embedding.weight


def test_other_models_have_no_graph():
    model, request = small_case("bpr")
    assert modified(work_of(model, request, seen(request, 8, 32)), [], []) is model
    assert len(drawn(num_users=3)) == 36
