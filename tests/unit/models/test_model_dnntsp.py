import copy
import math
from fractions import Fraction

import pytest
import torch
from basket_batches import batch_of, some_users
from dnntsp_textbook import (
    CLS,
    HISTORIES,
    NUM_ITEMS,
    TARGETS,
    attended,
    by_hand,
    convolved,
    counted,
    dense,
    linked,
    make,
    numbers,
    textbook_loss,
    textbook_scores,
)
from model_checks import check_twice_differentiable
from pydantic import ValidationError

from erase_ray.models import Shape, _basket_attention, _basket_graphs
from erase_ray.models._basket_graphs import BasketGraphs


def test_links_are_the_counts_by_hand():
    case, model = by_hand()
    graphs = BasketGraphs.of(batch_of([case["history"]], [case["target"]]), 4, False, model.gate)
    matrix = dense(graphs)
    # rows: 0 and 1 of basket 0, 1 and 2 of basket 1, 0 and 1 of basket 2, idle 0, 1, 2
    steps = torch.tensor(case["links"]["by_step"], dtype=torch.float64)
    for t, nodes in enumerate(case["history"]):
        inside = slice(2 * t, 2 * t + 2)
        assert torch.equal(matrix[inside, inside], steps[t][nodes][:, nodes])
    assert torch.equal(matrix[6:, 6:], torch.eye(3, dtype=torch.float64) / 2)
    assert int((matrix != 0).sum()) == 3 * 4 + 3
    # a basket each but for idle rows: item 0 is idle once, item 1 never, item 2 twice
    assert graphs.times_R.tolist() == [1] * 6 + [1, 0, 2]
    assert (graphs.num_times, graphs.longest) == (9, 3)


def test_convolution_is_the_one_by_hand():
    case, model = by_hand()
    graphs = BasketGraphs.of(batch_of([case["history"]], [case["target"]]), 4, False, model.gate)
    values = model.item_embedding(graphs.item_R)
    linear = model.convolutions[0](graphs.links.mix(values))[:, 0]
    # step 0: items 0, 1; step 1: items 1, 2; step 2: items 0, 1; idle: 2/2 - 3, 4/2 - 3, 6/2 - 3
    expected = [2, 1, 2, 2, 2, 1, -2, -1, 0]
    torch.testing.assert_close(linear, torch.tensor(expected, dtype=torch.float64))
    found = model._convolve(graphs)[:, 0]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64).relu())


def test_scores_and_loss_are_those_by_hand():
    case, model = by_hand()
    batch = batch_of([case["history"]], [case["target"]])
    expected = numbers(case["scores"]["by_item"])
    torch.testing.assert_close(model.scores(batch)[0], expected, rtol=0, atol=1e-12)
    terms = [math.log1p(math.exp(expected[i])) for i in case["loss"]["not_wanted"]]
    terms += [math.log1p(math.exp(-expected[i])) for i in case["loss"]["wanted"]]
    assert math.isclose(model.loss(batch).item(), sum(terms) / 4, rel_tol=1e-12)


def test_textbook_passes_the_case_by_hand():
    case, model = by_hand()
    history = case["history"]
    assert counted(history) == ([0, 1, 2], case["together"]["counts"])
    assert linked(history, 3)[1].tolist() == case["links"]["by_step"]
    assert convolved(model, [history], False, False)[0][1][..., 0].tolist() == [
        pytest.approx(row) for row in case["rectified"]["by_step"]
    ]
    for n, answers in enumerate(case["attended"]["by_item"]):
        x_TD = torch.tensor(case["rectified"]["by_step"], dtype=torch.float64)[:, n, None]
        torch.testing.assert_close(attended(model, x_TD)[:, 0], numbers(answers))
    torch.testing.assert_close(
        textbook_scores(model, [history])[0], numbers(case["scores"]["by_item"])
    )


@pytest.mark.parametrize(
    ("pads", "others", "name"),
    [
        (False, [], "alone"),
        (True, [], "alone"),
        (False, [[[3]]], "with_second"),
        (True, [[[3]]], "with_second_filled_up"),
    ],
)
def test_batch_norm_counts_steps_as_by_hand(pads, others, name):
    case, model = by_hand(pad_steps=pads)
    before = model.norms[0].running_var.item()
    model.train()
    model.loss(batch_of([case["history"], *others], [case["target"], *[[0]] * len(others)]))
    mean, variance = (float(Fraction(case["norm"][name][what])) for what in ("mean", "variance"))
    n = case["norm"][name]["n"]
    assert model.norms[0].running_mean.item() == pytest.approx(0.1 * mean, rel=1e-12)
    expected = 0.9 * before + 0.1 * variance * n / (n - 1)
    assert model.norms[0].running_var.item() == pytest.approx(expected, rel=1e-12)
    assert model.norms[0].num_batches_tracked.item() == 1


# ---- against the textbook -----------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("chunk", [1 << 18, 20])
def test_loss_and_gradients_are_those_of_the_textbook(training, pads, chunk, monkeypatch):
    monkeypatch.setattr(_basket_attention, "CHUNK", chunk)
    model = make(pad_steps=pads).train(training)
    other = copy.deepcopy(model)
    found = model.loss(batch_of(HISTORIES, TARGETS))
    expected = textbook_loss(other, HISTORIES, TARGETS, training, pads)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
    weigh = torch.arange(1.0, 1 + len(HISTORIES), dtype=torch.float64)
    pairs = zip(
        torch.autograd.grad(found @ weigh, list(model.parameters())),
        torch.autograd.grad(expected @ weigh, list(other.parameters())),
        strict=True,
    )
    for name, (mine, theirs) in zip(dict(model.named_parameters()), pairs, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-8)
        in_vain = training and "convolutions" in name and "bias" in name  # the norm takes it away
        assert in_vain or theirs.abs().max() > 1e-4
    for name, buffer in model.named_buffers():
        if "running" in name:
            torch.testing.assert_close(buffer, other.get_buffer(name), rtol=0, atol=1e-12)


def test_padding_of_steps_makes_a_difference_in_training_alone():
    losses = {}
    for training in (False, True):
        for pads in (False, True):
            model = make(pad_steps=pads).train(training)
            losses[training, pads] = model.loss(batch_of(HISTORIES, TARGETS))
    assert torch.equal(losses[False, False], losses[False, True])
    assert not torch.allclose(losses[True, False], losses[True, True], rtol=1e-3)


def test_one_step_takes_running_statistics_where_steps_are_padded():
    histories, targets = [[[0, 2]], [[1]]], [[1], [2]]
    model = make(pad_steps=True)
    before = model.norms[1].running_mean.clone()
    found = model.train().loss(batch_of(histories, targets))
    assert torch.equal(found, model.eval().loss(batch_of(histories, targets)))
    assert torch.equal(model.norms[1].running_mean, before)
    model = make(pad_steps=False)
    found = model.train().loss(batch_of(histories, targets))
    expected = textbook_loss(make(), histories, targets, training=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert not torch.equal(model.norms[1].running_mean, before)


def test_a_single_number_has_no_spread_so_running_statistics_are_taken():
    model = make()
    batch = batch_of([[[4]]], [[1]])
    assert torch.equal(model.train().loss(batch), model.eval().loss(batch))


@pytest.mark.parametrize("training", [False, True])
def test_scores_are_those_of_the_textbook(training):
    model = make().train(training)
    expected = textbook_scores(copy.deepcopy(model), HISTORIES, training)
    found = model.scores(batch_of(HISTORIES, TARGETS))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pads", [False, True])
def test_twenty_steps_of_adam_end_in_the_same_weights(pads):
    model = make(pad_steps=pads).train()
    other = copy.deepcopy(model)
    users = some_users(40, NUM_ITEMS, 5, seed=8)
    mine = torch.optim.Adam(model.parameters(), lr=1e-2)
    theirs = torch.optim.Adam(other.parameters(), lr=1e-2)
    for step in range(20):
        histories, targets = (x[step : step + 4] for x in users)
        mine.zero_grad()
        model.loss(batch_of(histories, targets)).mean().backward()
        mine.step()
        theirs.zero_grad()
        textbook_loss(other, histories, targets, True, pads).mean().backward()
        theirs.step()
    start = make()
    for name, weight in model.state_dict().items():
        if not name.endswith("tracked"):
            torch.testing.assert_close(weight, other.state_dict()[name], rtol=0, atol=1e-6)
            in_vain = "convolutions" in name and "bias" in name
            assert in_vain or (weight - start.state_dict()[name]).abs().max() > 1e-2


def test_long_histories_and_many_steps_of_one_item():
    histories = [[[t % 3, 3 + t % 2] if t % 5 else [8] for t in range(70)], [[8]] * 65]
    model = make(max_history=100).eval()
    found = model.scores(batch_of(histories, [[0], [1]]))
    expected = textbook_scores(model, histories)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_items_that_share_baskets_beyond_the_first_word_of_marks_are_counted(monkeypatch):
    monkeypatch.setattr(_basket_graphs, "WORD", 2)
    model = make().eval()
    expected = textbook_scores(model, HISTORIES)
    found = model.scores(batch_of(HISTORIES, TARGETS))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_extreme_energies_leave_finite_losses_and_gradients(scale):
    model = make().eval()
    with torch.no_grad():
        model.query.weight.mul_(scale)
    loss = model.loss(batch_of(HISTORIES, TARGETS))
    expected = textbook_loss(model, HISTORIES, TARGETS)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-8)
    grads = torch.autograd.grad(loss.sum(), list(model.parameters()))
    assert all(torch.isfinite(grad).all() for grad in grads)


# ---- second order -------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1 << 18, 4])
def test_it_can_be_differentiated_twice(chunk, monkeypatch):
    monkeypatch.setattr(_basket_attention, "CHUNK", chunk)
    model = make(num_items=4, embedding_size=2).eval()
    model.requires_grad_(False)
    batch = batch_of([[[0, 1], [1, 2], [1], [0, 1]], [[2]]], [[1, 3], [2]])

    check_twice_differentiable(model, batch)


def test_products_with_the_hessian_are_those_of_the_textbook():
    model = make().eval()
    weights = list(model.parameters())
    rng = torch.Generator().manual_seed(4)
    way = [torch.randn(w.shape, generator=rng, dtype=w.dtype) for w in weights]
    products = []
    for losses in (
        model.loss(batch_of(HISTORIES, TARGETS)),
        textbook_loss(model, HISTORIES, TARGETS),
    ):
        grads = torch.autograd.grad(losses.mean(), weights, create_graph=True)
        slope = sum((grad * each).sum() for grad, each in zip(grads, way, strict=True))
        products.append(torch.autograd.grad(slope, weights))
    for mine, theirs in zip(*products, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-8)


# ---- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1 << 18, 20])
def test_an_example_does_not_see_its_neighbours_in_eval_mode(chunk, monkeypatch):
    monkeypatch.setattr(_basket_attention, "CHUNK", chunk)
    model = make().eval()
    together = model.loss(batch_of(HISTORIES, TARGETS))
    alone = [model.loss(batch_of([h], [t]))[0] for h, t in zip(HISTORIES, TARGETS, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-12)


def test_chunks_cover_all_nodes_once(monkeypatch):
    monkeypatch.setattr(_basket_attention, "CHUNK", 20)
    graphs = BasketGraphs.of(batch_of(HISTORIES, TARGETS), NUM_ITEMS, False, make().gate)
    chunks = list(_basket_attention._chunks(graphs.visits))
    assert len(chunks) > 5
    assert torch.equal(torch.cat([c.row_V for c, _ in chunks]), graphs.visits.row_V)
    assert sum(len(c.first_N) for c, _ in chunks) == len(graphs.key_N)
    for chunk, at in chunks:
        assert (chunk.node_V + at).tolist() == sorted((chunk.node_V + at).tolist())
        cost = int((2 * (chunk.rank_V + 1) + chunk.gap_V).sum())
        assert cost <= 20 + int((2 * (chunk.rank_V + 1) + chunk.gap_V)[chunk.first_N[-1] :].sum())


def test_bfloat16_gives_finite_float32_losses():
    model = make().float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.loss(batch_of(HISTORIES, TARGETS))
    found.sum().backward()
    expected = make().float().train().loss(batch_of(HISTORIES, TARGETS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_running_statistics_are_part_of_the_state():
    state = make().state_dict()
    assert {f"norms.{n}.running_{what}" for n in (0, 1) for what in ("mean", "var")} <= set(state)


def test_reset_draws_the_initial_weights_of_the_benchmark():
    model = CLS(CLS.Settings(), Shape(1, 2000))
    model.norms[0].running_mean.fill_(3)
    model.reset(torch.Generator().manual_seed(8))
    assert model.item_embedding.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert 0 <= model.gate.min() < 0.01 < 0.99 < model.gate.max() < 1
    assert model.gate.mean().item() == pytest.approx(0.5, abs=0.02)
    for linear in (model.query, model.key, model.value, *model.convolutions):
        assert 0.9 * math.sqrt(6 / 64) < linear.weight.abs().max() <= math.sqrt(6 / 64)
    for linear in (model.importance, model.output):
        assert 0.8 * math.sqrt(6 / 33) < linear.weight.abs().max() <= math.sqrt(6 / 33)
    for norm in model.norms:
        assert norm.weight.eq(1).all()
        assert norm.running_mean.eq(0).all()
        assert norm.running_var.eq(1).all()
    zeros = [model.output.bias, *(m.bias for m in (*model.convolutions, *model.norms))]
    assert all(bias.eq(0).all() for bias in zeros)


def test_offers_are_named_as_the_module_names_them():
    model = make()
    assert list(model.head_parameters()) == [
        "item_embedding.weight",
        "output.weight",
        "output.bias",
        "gate",
    ]
    assert list(model.item_tables()) == ["item_embedding.weight", "gate"]


def test_defaults_are_those_of_the_benchmark():
    settings = CLS.Settings()
    assert settings.model_dump() == {
        "embedding_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "max_history": 48,
        "pad_steps": False,
    }
    assert CLS(settings, Shape(1, 2)).max_history == 48
    assert (CLS.training.epochs, CLS.training.batch_size, CLS.training.patience) == (100, 64, 100)
    assert (CLS.training.select_metric, CLS.training.select_k) == ("recall", 10)


def test_heads_must_share_the_width():
    with pytest.raises(ValidationError, match="embedding_size 32 is no multiple of num_heads 5"):
        CLS.Settings(num_heads=5)
