from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_toys import ask, build, flat, forced_case, reference, seen, small_case, table_for

from erase_ray.experiment.chain import attempt
from erase_ray.models import TrainingSettings
from erase_ray.reference.methods.fanchuan import contrast, flatness, vectors

RATE = 1e-3
LEARNS = TrainingSettings(learning_rate=RATE)


def softmax(values: np.ndarray) -> np.ndarray:
    weights = np.exp(values - values.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def batch_of(model_name, num=4):
    model, request = small_case(model_name)
    examples = request.world.examples
    places = torch.linspace(0, len(examples) - 1, 2 * num).long()
    return model, examples.batch(places[:num], 1), examples.batch(places[num:], 1)


@pytest.mark.parametrize("model_name", ["bpr", "lightgcn", "gru4rec"])
def test_flatness(model_name):
    model, batch, _ = batch_of(model_name)
    model.eval()
    p = softmax(model.scores(batch).detach().numpy())
    assert flatness(model, batch).item() == pytest.approx(-np.log(p).mean(), rel=1e-5)


def test_sets2sets_has_its_softmax_taken_twice():
    model, batch, _ = batch_of("sets2sets")
    p = softmax(softmax(model.scores(batch).detach().numpy()))
    found = flatness(model, batch)
    assert found.item() == pytest.approx(-np.log(p).mean(), rel=1e-6)
    assert found.item() == pytest.approx(np.log(30), abs=2e-3)


def test_contrast_and_raw_rows():
    for name in ("bpr", "lightgcn"):
        model, own, other = batch_of(name)
        table = model.user_embedding.weight.detach().numpy()
        z_a, z_b = table[own.user_B.numpy()], table[other.user_B.numpy()]
        expected = -np.log(softmax(z_a @ z_b.T / 1.15)).mean()
        loss = contrast(model, own, other, 1.15)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, [model.user_embedding.weight])
        moved = set(gradient.any(1).nonzero().flatten().tolist())
        assert moved == set(own.user_B.tolist()) | set(other.user_B.tolist())


def test_vectors_of_other_tasks():
    model, batch, _ = batch_of("gru4rec")
    model.eval()
    assert torch.equal(vectors(model, batch), model.represent(batch))
    model, batch, _ = batch_of("sets2sets")
    assert vectors(model, batch).shape == (4, 30)


def test_first_stage_is_one_step_of_adam_on_the_whole_history():
    """Without a past a step is the sign of the gradient."""
    model, request = forced_case()
    request.world = replace(request.world, training=LEARNS)
    own = seen(request, 64, 32).own
    assert len(own) == 6
    loss = flatness(model, own.batch(torch.arange(6), 0))
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    gradient = torch.cat([one.flatten() for one in gradient])
    before = flat(model)
    outcome, _ = attempt(reference("fanchuan", num_rounds=0), model, request)
    expected = -RATE * gradient / (gradient.abs() + 1e-8)
    assert torch.allclose(flat(model) - before, expected, atol=1e-12)
    assert outcome.num_gradients == 1


def test_number_of_steps():
    """F = 10: one mini-batch, eight rounds of clean, others and the repair of 160 examples."""
    model, request = small_case("bpr", training=LEARNS)
    outcome = reference("fanchuan").forget(model, request)
    assert (outcome.details["F"], outcome.details["C"]) == (10, 8)
    epochs = 1 + 16 * 10 // int(outcome.details["R"])
    assert outcome.num_gradients == 1 + 8 * (2 + epochs)
    model, request = small_case("bpr", training=LEARNS)
    table = request.world.interactions
    request = ask(request.world, table.row[table.user == 5])
    outcome = reference("fanchuan").forget(model, request)
    assert outcome.details["C"] == 0
    assert outcome.num_gradients == 1 + 8 * (1 + epochs)


def test_rows_of_earlier_people_go_on_drifting():
    table = table_for("bpr")
    model, first = small_case("bpr", training=LEARNS)
    method = reference("fanchuan", num_rounds=0)
    method.forget(model, first)
    row = model.user_embedding.weight[5].detach().clone()
    rows = table.row[table.user == 9][:2]
    second = replace(ask(first.world, rows, asked=[5]), state=first.state)
    assert int(second.state["adam/user_embedding.weight/step"]) == 1
    method.forget(model, second)
    assert (model.user_embedding.weight[5] - row).abs().min() > 0.1 * RATE
    alone, _ = small_case("bpr", training=LEARNS)
    method.forget(alone, ask(first.world, rows, asked=[5]))
    assert torch.equal(alone.user_embedding.weight[5], build("bpr", table).user_embedding.weight[5])


def test_moments_are_replaced_not_edited():
    model, first = small_case("bpr", training=LEARNS)
    method = reference("fanchuan", num_rounds=1)
    method.forget(model, first)
    kept = {name: (tensor, tensor.clone()) for name, tensor in first.state.items()}
    method.forget(model, replace(first, state=dict(first.state)))
    assert all(torch.equal(tensor, copy) for tensor, copy in kept.values())


def test_deadline_keeps_what_was_done():
    class Twice:
        limit_s, asked = 9.0, 0

        def passed(self):
            self.asked += 1
            return self.asked > 3

    model, request = small_case("bpr", training=LEARNS)
    request.deadline = Twice()
    outcome, norm = attempt(reference("fanchuan"), model, request)
    assert outcome.status == "applied"
    assert outcome.reason == "9 s were over after 2 steps of Adam"
    assert norm > 0
