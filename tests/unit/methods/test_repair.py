import math

import pytest
import torch
from method_toys import CPU, PairTask, StepModel, StepTask, fresh, toy_request, toy_table, toy_world
from torch import nn

from erase_ray.methods import Deadline
from erase_ray.methods._repair import Descent, Pool, Step, batches_of, learning, plan
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.tasks import TASKS, Cut
from tests.conftest import make_model, planted, trained_weights

TABLE = toy_table()
REQUEST = toy_request(toy_world(PairTask(), TABLE), (12, 15))


def scalar_space(value, model=None):
    """One weight, and a model whose loss of a batch is the batch times the weight."""
    weight = nn.Parameter(torch.tensor([value], dtype=torch.float64))
    model = model or fresh(StepModel, TABLE)
    model.loss = lambda batch: batch * weight
    return model, Subspace({"w": weight}, {}), weight


def one_step(*slopes, weights=None):
    slopes = torch.tensor(slopes, dtype=torch.float64)
    weights = torch.ones(len(slopes)) if weights is None else torch.tensor(weights)
    return Step(0, [(slopes, weights.double())])


def test_first_steps_of_adam_by_hand():
    """Gradient 3, then 1: the first step is the step size, the second is worked out below."""
    model, space, weight = scalar_space(5.0)
    descent = Descent(model, space, 0.1)
    descent.step(one_step(2.0, 4.0))
    assert weight.item() == pytest.approx(5.0 - 0.1, abs=1e-8)
    descent.step(one_step(1.0))
    mean = (0.9 * 0.1 * 3 + 0.1 * 1) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 9 + 0.001 * 1) / (1 - 0.999**2)
    assert weight.item() == pytest.approx(4.9 - 0.1 * mean / math.sqrt(square), abs=1e-7)
    assert descent.num_steps == 2


def test_weights_of_examples_shape_the_direction():
    model, space, weight = scalar_space(0.0)
    Descent(model, space, 0.1).step(one_step(-1.0, 4.0, weights=[1.0, 0.2]))
    assert weight.item() == pytest.approx(0.1, abs=1e-6)  # -1 + 0.8 < 0


def test_factors_scale_the_step_of_each_entry():
    weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    model = fresh(StepModel, TABLE)
    model.loss = lambda batch: (batch * weight).sum()[None]
    factor = torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64)
    descent = Descent(model, Subspace({"w": weight}, {}), 0.5, {"w": factor})
    for _ in range(2):
        descent.step(Step(0, [(torch.tensor([1.0, -1.0, 1.0]), torch.ones(1))]))
    torch.testing.assert_close(weight.detach(), torch.tensor([-1.0, 0.1, 0.0]).double())
    assert weight[2].item() == 0.0


def test_long_gradients_are_shortened():
    """3 then 0.5 under a longest gradient of 1: the second moment sees 1 and 0.5."""
    model, space, weight = scalar_space(0.0)
    descent = Descent(model, space, 0.1, max_norm=1.0)
    descent.step(one_step(3.0))
    descent.step(one_step(0.5))
    mean = (0.9 * 0.1 * 1 + 0.1 * 0.5) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 1 + 0.001 * 0.25) / (1 - 0.999**2)
    assert weight.item() == pytest.approx(-0.1 - 0.1 * mean / math.sqrt(square), abs=1e-7)


def test_deadline_stops_between_steps():
    model, space, weight = scalar_space(1.0)
    descent = Descent(model, space, 0.1)
    assert not descent.run([one_step(1.0)], Deadline(0.0))
    assert (descent.num_steps, weight.item()) == (0, 1.0)
    assert descent.run([one_step(1.0)] * 3, Deadline())
    assert descent.num_steps == 3


@pytest.mark.parametrize("name", ["bpr", "sets2sets"])
def test_rows_that_are_read_move_as_under_dense_adam_and_no_others(name):
    data = planted({"bpr": "cf", "sets2sets": "next_basket"}[name])
    found = []
    for narrow in (True, False):
        model = make_model(name, data)
        model.load_state_dict(trained_weights(name))
        examples = TASKS.get(data.task)().examples(
            data.interactions, data.split, Cut(model.max_history, CPU)
        )
        pool = Pool(examples.take(torch.arange(40)), torch.linspace(0, 1, 40))
        steps = plan([pool], 10, 3, 2)
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        if narrow:
            parameters = dict(model.named_parameters())
            with subspace(model, parameters, batches_of(steps)) as space:
                sizes = {key: leaf.numel() for key, leaf in space.named.items()}
                assert Descent(model, space, 0.01).run(steps, Deadline())
            assert all(sizes[key] < before[key].numel() for key in space.places)
            assert len(space.places) == {"bpr": 2, "sets2sets": 3}[name]
        else:
            optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
            for step in steps:
                optimiser.zero_grad()
                ((batch, weight_B),) = step.parts
                (weight_B @ model.loss(batch) / len(weight_B)).backward()
                optimiser.step()
        found.append({key: value.detach() for key, value in model.named_parameters()})
    for key, old in before.items():
        torch.testing.assert_close(found[0][key], found[1][key], rtol=1e-5, atol=1e-6)
        assert torch.equal(found[0][key] == old, found[1][key] == old)
        assert not torch.equal(found[0][key], old)


def test_plan_holds_every_example_once_a_pass_and_a_share_of_each_pool():
    pools = [Pool(REQUEST.kept), Pool(REQUEST.retain(40))]
    steps = plan(pools, 10, seed=1, num_epochs=2)
    assert [step.epoch for step in steps] == [0] * 5 + [1] * 5
    assert [[len(w) for _, w in step.parts] for step in steps[:5]] == [
        [2, 8],
        [2, 8],
        *[[1, 8]] * 3,
    ]
    expected = sorted(
        pair
        for pool in pools
        for pair in zip(pool.examples.users.tolist(), pool.examples.items.tolist(), strict=True)
    )
    for number in (0, 1):
        batches = batches_of(step for step in steps if step.epoch == number)
        seen = [
            pair
            for batch in batches
            for pair in zip(batch.user_B.tolist(), batch.item_B.tolist(), strict=True)
        ]
        assert sorted(seen) == expected
    orders = [
        [batch.item_B.tolist() for batch in batches_of(steps[a:b])] for a, b in ((0, 5), (5, 10))
    ]
    assert orders[0] != orders[1]


def test_plan_of_nothing():
    nothing = Pool(REQUEST.kept.take(torch.arange(0)))
    assert plan([nothing, nothing], 10, seed=1, num_epochs=3) == []
    assert plan([Pool(REQUEST.kept)], 10, seed=1, num_epochs=0) == []


def test_pool_weighs_examples_that_aim_at_marked_items():
    examples = REQUEST.world.examples
    pool = Pool.aiming(examples, REQUEST.marked_I, 0.25)
    aims = torch.isin(examples.items, REQUEST.items)
    assert pool.weight_N.tolist() == torch.where(aims, 0.25, 1.0).tolist()
    assert Pool(examples).weight_N.tolist() == [1.0] * len(examples)


def test_learning_fixes_dropout_and_leaves_no_trace():
    model = fresh(StepModel, TABLE, dropout=0.5).eval()
    examples = StepTask().examples(TABLE, None, None)
    batch = examples.batch(torch.arange(8), 0)
    torch.manual_seed(1)
    state, losses = torch.get_rng_state(), []
    for seed in (5, 5, 6):
        torch.rand(3)
        with torch.no_grad(), learning(model, seed, CPU):
            losses.append(model.loss(batch))
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])
    assert not model.training
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_learning_keeps_running_statistics():
    model = fresh(StepModel, TABLE)
    model.norm = nn.BatchNorm1d(2)
    with learning(model, 1, CPU):
        assert model.training
        assert not model.norm.training
        model.norm.train()(torch.randn(7, 2))
        assert model.norm.num_batches_tracked == 1
    assert model.norm.num_batches_tracked == 0
    assert torch.equal(model.norm.running_mean, torch.zeros(2))
