import copy
import math

import pytest
import torch
from model_checks import batch_norms
from torch.nn import functional

from erase_ray.models import MODELS, Shape
from erase_ray.models._graph import Graph
from erase_ray.models.sgl import View, info_nce
from erase_ray.tasks._batches import PairBatch

USERS, ITEMS = 20, 30


def make(with_edges=True, users=USERS, items=ITEMS, **settings):
    kind = MODELS.get("sgl")
    model = kind(kind.Settings(**settings), Shape(users, items))
    model.reset(torch.Generator().manual_seed(1))
    if with_edges:
        model.set_edges(*edges())
    return model


def edges(number=150):
    """Random pairs, a few of them more than once."""
    generator = torch.Generator().manual_seed(7)
    user_E = torch.randint(USERS, (number,), generator=generator)
    return user_E, torch.randint(ITEMS, (number,), generator=generator)


def batch():
    columns = ([0, 1, 4, 4], [1, 2, 7, 7], [5, 0, 3, 9])
    return PairBatch(*(torch.tensor(column) for column in columns))


def counts(graph):
    """The number of edges of each pair, by ``(user, item)``."""
    key_G, count_G = graph.pairs()
    pairs = zip(key_G.tolist(), count_G.tolist(), strict=True)
    return {divmod(key, graph.num_items): count for key, count in pairs if count}


def dense_propagation(model, pairs, num_layers=3):
    weight_UI = torch.zeros(USERS, ITEMS, dtype=torch.float64)
    for (user, item), count in pairs.items():
        weight_UI[user, item] = count
    matrix_NN = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    matrix_NN[:USERS, USERS:], matrix_NN[USERS:, :USERS] = weight_UI, weight_UI.T
    scale_N = (matrix_NN.sum(1) + 1e-7).rsqrt()
    matrix_NN = scale_N[:, None] * matrix_NN * scale_N
    tables = (model.user_embedding.weight, model.item_embedding.weight)
    power_ND = torch.cat([each.detach().double() for each in tables])
    total_ND = power_ND.clone()
    for _ in range(num_layers):
        power_ND = matrix_NN @ power_ND
        total_ND += power_ND
    return (total_ND / (num_layers + 1)).split([USERS, ITEMS])


def plain_info_nce(first_MD, second_MD, id_B):
    cosine_BM = functional.normalize(first_MD)[id_B] @ functional.normalize(second_MD).T / 0.2
    return cosine_BM.exp().sum(1).log() - cosine_BM.gather(1, id_B[:, None])[:, 0]


@pytest.mark.parametrize("training", [True, False])
def test_loss_is_that_of_the_dense_formula(training):
    model, columns = make(penalty=2.0).train(training), batch()
    model.start_epoch(5)
    full = counts(model.graph)
    views = [counts(view.graph) for view in model._views] if training else [full, full]
    assert (views[0] == full) is not training
    user_UD, item_ID = dense_propagation(model, full)
    gap_BD = item_ID[columns.item_B] - item_ID[columns.negative_B]
    expected_B = functional.softplus(-(user_UD[columns.user_B] * gap_BD).sum(1))
    first, second = (dense_propagation(model, view) for view in views)
    for side, id_B in enumerate((columns.user_B, columns.item_B)):
        expected_B = expected_B + 0.1 * plain_info_nce(first[side], second[side], id_B)
    user, item = (each.weight.double() for each in (model.user_embedding, model.item_embedding))
    rows = (user[columns.user_B], item[columns.item_B], item[columns.negative_B])
    expected_B = expected_B + 2.0 * sum(row.square().sum(1) for row in rows) / 2
    torch.testing.assert_close(model.loss(columns), expected_B.float())


def test_penalty_norm_makes_the_sum_over_a_batch_that_of_the_reference():
    without, model = make(penalty=0.0), make(penalty=3.0, penalty_form="norm")
    columns = batch()
    norms = batch_norms(model, columns)
    extra = (model.loss(columns) - without.loss(columns)).sum()
    torch.testing.assert_close(extra, 3.0 * sum(norms) / 4, rtol=1e-4, atol=1e-5)


def test_contrast_of_single_rows_by_hand():
    table_MD = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    query_GD = torch.tensor([[0.0, 5.0], [4.0, 0.0], [7.0, 0.0]])
    # the first two queries have cosines 1 with their own row and 0 with the other; the last 0 and 1
    shares = [math.e / (math.e + 1), math.e / (math.e + 1), 1 / (math.e + 1)]
    loss_G = info_nce(query_GD, table_MD, torch.tensor([1, 0, 1]), temperature=1.0)
    torch.testing.assert_close(loss_G, -torch.tensor(shares).log())


def test_before_the_first_epoch_and_in_eval_mode_both_views_are_the_whole_graph():
    model, columns = make(), batch()
    before = model.train().loss(columns)
    model.start_epoch(3)
    assert not torch.equal(model.loss(columns), before)
    assert torch.equal(model.eval().loss(columns), before)


@pytest.mark.parametrize(("number", "left"), [(150, 135), (9, 8), (1, 0)])
def test_a_view_keeps_its_exact_share_of_the_single_edges(number, left):
    model = make(with_edges=False)
    model.set_edges(*edges(number))
    model.start_epoch(1)
    full = counts(model.graph)
    for view in model._views:
        own = counts(view.graph)
        assert sum(own.values()) == left
        assert all(count <= full[pair] for pair, count in own.items())
    if number == 150:
        assert sum(count > 1 for count in full.values()) > 3
        assert counts(model._views[0].graph) != counts(model._views[1].graph)


def test_views_are_a_function_of_the_seed_and_the_edges_alone():
    model, other = make(), make(with_edges=False)
    user_E, item_E = edges()
    mixed = torch.randperm(150, generator=torch.Generator().manual_seed(2))
    other.set_edges(user_E[mixed], item_E[mixed])
    other.start_epoch(8)
    first = [counts(view.graph) for view in other._views]
    torch.manual_seed(1)
    for each in (model, other):
        each.start_epoch(4)
    same = [counts(view.graph) for view in model._views]
    assert same == [counts(view.graph) for view in other._views]
    assert same != first


def test_every_edge_is_left_out_about_as_often():
    full = make().graph
    left = torch.zeros(USERS * ITEMS)
    for seed in range(300):
        key_G, count_G = View.of(full, 0.4, seed, 0).graph.pairs()
        left[key_G] += count_G
    share_G = left[full.pairs()[0]] / 300 / full.pairs()[1]
    # four standard errors of a share of 0.6 over 300 draws
    assert (share_G - 0.6).abs().max() < 4 * (0.24 / 300) ** 0.5
    assert abs(share_G.mean() - 0.6) < 0.01


def test_without_an_edge_at_most_one_other_edge_changes_its_place():
    full, (user_E, item_E) = make().graph, edges()
    view = counts(View.of(full, 0.1, 5, 0).graph)
    for gone in range(0, 150, 10):
        stays_E = torch.arange(150) != gone
        less = Graph.of(user_E[stays_E], item_E[stays_E], (USERS, ITEMS), collapses=False)
        other = counts(View.of(less, 0.1, 5, 0).graph)
        pair = (int(user_E[gone]), int(item_E[gone]))
        pairs = (set(view) | set(other)) - {pair}
        assert sum(abs(view.get(key, 0) - other.get(key, 0)) for key in pairs) <= 1


def test_views_lack_what_was_dropped_after_they_were_drawn_and_get_it_back():
    model, (user_E, item_E) = make().train(), edges()
    model.start_epoch(3)
    before = [counts(view.graph) for view in model._views]
    loss_B = model.loss(batch())
    gone_E = (user_E == 4) | (item_E == 7)
    model.drop_edges(user_E[gone_E], item_E[gone_E])
    for view, old in zip(model._views, before, strict=True):
        expected = {pair: n for pair, n in old.items() if pair[0] != 4 and pair[1] != 7}
        assert counts(view.graph) == expected
    assert not torch.equal(model.loss(batch()), loss_B)
    model.restore_edges(user_E[gone_E], item_E[gone_E])
    assert [counts(view.graph) for view in model._views] == before
    assert torch.equal(model.loss(batch()), loss_B)


def test_of_several_edges_the_last_one_goes_first_from_the_views_too():
    model = make(with_edges=False, edge_dropout=0.5)
    model.set_edges(torch.zeros(8, dtype=torch.int64), torch.zeros(8, dtype=torch.int64))
    model.start_epoch(3)
    for left in range(7, -1, -1):
        model.drop_edges(torch.tensor([0]), torch.tensor([0]))
        for view in model._views:
            assert counts(view.graph).get((0, 0), 0) <= left
    assert all(counts(view.graph) == {} for view in model._views)


def test_a_drop_that_fails_leaves_the_views_alone():
    model, (user_E, item_E) = make(), edges()
    model.start_epoch(3)
    before = [counts(view.graph) for view in model._views]
    with pytest.raises(ValueError, match="cannot drop"):
        model.drop_edges(torch.cat([user_E, user_E]), torch.cat([item_E, item_E]))
    assert [counts(view.graph) for view in model._views] == before


def test_scores_are_those_of_the_dense_formula_whatever_the_views():
    model = make().train()
    model.start_epoch(1)
    user_UD, item_ID = dense_propagation(model, counts(model.graph))
    everyone = PairBatch(torch.arange(USERS))
    torch.testing.assert_close(model.scores(everyone), (user_UD @ item_ID.T).float())


def test_no_score_is_left_over_from_before():
    model, everyone = make(), PairBatch(torch.arange(USERS))
    (user_E, item_E), old = edges(), model.scores(everyone)
    with torch.inference_mode(), model.scoring():
        assert torch.equal(model.scores(everyone), old)
    model.drop_edges(user_E[:2], item_E[:2])
    assert not torch.equal(model.scores(everyone), old)
    model.restore_edges(user_E[:2], item_E[:2])
    assert torch.equal(model.scores(everyone), old)
    with torch.no_grad():
        model.item_embedding.weight.add_(0.1)
    assert not torch.equal(model.scores(everyone), old)


@pytest.mark.parametrize("training", [True, False])
def test_hessian_vector_products_are_those_of_finite_differences(training):
    model = make(embedding_size=4, penalty=0.1).double().train(training)
    model.start_epoch(2)
    weights = list(model.parameters())
    generator = torch.Generator().manual_seed(3)
    direction = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]

    def gradient(create_graph=False):
        return torch.autograd.grad(model.loss(batch()).sum(), weights, create_graph=create_graph)

    slope = sum((g * d).sum() for g, d in zip(gradient(True), direction, strict=True))
    products = torch.autograd.grad(slope, weights)
    ends, step = [], 1e-5
    for sign in (1, -2):
        with torch.no_grad():
            for weight, toward in zip(weights, direction, strict=True):
                weight.add_(toward, alpha=sign * step)
        ends.append(gradient())
    for product, high, low in zip(products, *ends, strict=True):
        torch.testing.assert_close(product, (high - low) / (2 * step), rtol=1e-5, atol=1e-7)


def test_autocast_gives_finite_float32():
    model = make().train()
    model.start_epoch(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss_B = model.loss(batch())
    loss_B.sum().backward()
    assert loss_B.dtype == torch.float32
    torch.testing.assert_close(loss_B, model.loss(batch()), rtol=0.01, atol=0.01)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_a_copy_has_edges_and_views_of_its_own():
    model, (user_E, item_E) = make().train(), edges()
    model.start_epoch(1)
    loss_B, twin = model.loss(batch()), copy.deepcopy(model)
    twin.drop_edges(user_E, item_E)
    assert torch.equal(model.loss(batch()), loss_B)
    assert not torch.equal(twin.loss(batch()), loss_B)


def test_edges_are_no_part_of_the_state():
    model = make()
    model.start_epoch(1)
    assert set(model.state_dict()) == {"user_embedding.weight", "item_embedding.weight"}
    assert list(model.head_parameters()) == ["user_embedding.weight"]


def test_defaults_are_those_of_the_benchmark():
    kind = MODELS.get("sgl")
    settings, training = kind.Settings(), kind.training
    assert (settings.embedding_size, settings.num_layers, settings.penalty) == (64, 3, 1e-4)
    assert (settings.edge_dropout, settings.contrast, settings.temperature) == (0.1, 0.1, 0.2)
    assert (training.epochs, training.batch_size, training.select_metric) == (100, 2048, "recall")
