from dataclasses import replace

import pytest
import torch
from reference_toys import ask, build, drawn, reference, seen, small_case, world_of

from erase_ray.experiment.chain import attempt
from erase_ray.models import TrainingSettings
from erase_ray.reference.methods.kookmin import EPOCHS, smallest


def wide_case(**training):
    """So many people that a hundredth of the user table is a row."""
    table = drawn(num_users=300)
    model = build("bpr", table, embedding_size=8)
    rows = table.row[table.user == 150]
    settings = TrainingSettings(**{"learning_rate": 1e-12} | training)
    return model, ask(world_of(model, table, training=settings), rows[:2])


def test_resets_rows_of_strangers_with_low_numbers():
    model, request = wide_case()
    before = model.user_embedding.weight.detach().clone()
    outcome, _ = attempt(reference("kookmin"), model, request)
    sampled = set(seen(request, 8, 32).retain.users.tolist())
    strangers = [user for user in range(300) if user not in sampled | {150}]
    moved = (model.user_embedding.weight - before).abs() > 1e-6
    assert moved.sum() == 300 * 8 // 100
    assert moved.any(1).nonzero().flatten().tolist() == strangers[:3]
    assert moved[strangers[:3]].all()
    fresh = model.user_embedding.weight[strangers[:3]]
    assert fresh.abs().max() <= 8**-0.5
    assert outcome.details["num_reset"] == 24 + 30 * 8 // 100


def test_resets_the_same_rows_at_every_request():
    model, request = wide_case()
    moved = []
    for user in (150, 151):
        before = model.user_embedding.weight.detach().clone()
        rows = request.world.interactions.row[request.world.interactions.user == user][:2]
        attempt(reference("kookmin"), model, ask(request.world, rows, seed=user))
        changed = ((model.user_embedding.weight - before).abs() > 1e-6).any(1)
        moved.append(set(changed.nonzero().flatten().tolist()))
    assert moved[0] & moved[1]
    assert moved[0] | moved[1] <= set(range(8))


def test_ties_go_to_the_lowest_positions():
    score = torch.tensor([[0.0, -0.2, 0.0], [0.5, 0.0, -0.1]])
    assert smallest(score, 0.34).tolist() == [0, 2]
    assert smallest(score, 0.7).tolist() == [0, 2, 4, 5]
    assert smallest(score, 0.0).tolist() == [0]
    assert sorted(smallest(score, 1.0).tolist()) == list(range(6))


def test_the_boost_does_nothing():
    after = []
    for boost in (1.0, 10.0):
        model, request = wide_case(learning_rate=1e-2)
        reference("kookmin", boost=boost).forget(model, request)
        after.append(torch.cat([weight.detach().flatten() for weight in model.parameters()]))
    model, request = wide_case()
    reference("kookmin").forget(model, request)
    still = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    assert (after[0] - still).abs().max() > 1e-3
    assert (after[0] - after[1]).abs().max() < 2e-5


def test_repair_is_at_a_tenth_of_the_rate_without_a_past():
    model, request = wide_case(learning_rate=1e-2)
    still, request_2 = wide_case()
    outcome = reference("kookmin").forget(model, request)
    reference("kookmin").forget(still, request_2)
    F, R = outcome.details["F"], outcome.details["R"]
    steps = 1 + 16 * F // R
    assert outcome.num_gradients == 3 + steps
    pairs = zip(model.parameters(), still.parameters(), strict=True)
    longest = max(float((a - b).detach().abs().max()) for a, b in pairs)
    assert 0.9e-3 < longest < 1.2e-3 * steps
    assert not any(name.startswith("adam/") for name in request.state)


def test_the_decay_goes_on_over_requests():
    model, request = wide_case(decay_every=3, learning_rate=1e-2)
    table, longest = request.world.interactions, []
    for user in (150, 151, 152):
        rows = table.row[table.user == user][:2]
        one = replace(ask(request.world, rows), state=request.state)
        before = model.item_embedding.weight.detach().clone()
        reference("kookmin").forget(model, one)
        change = (model.item_embedding.weight - before).abs().flatten()
        longest.append(float(change.sort().values[-30]))  # behind what was reset
    epochs = int(request.state[EPOCHS])
    assert epochs % 3 == 0
    assert epochs >= 9
    assert longest[1] < 0.2 * longest[0]
    assert longest[2] < 0.2 * longest[1]


def test_without_decay_nothing_is_counted():
    model, request = wide_case()
    reference("kookmin").forget(model, request)
    assert EPOCHS not in request.state


def test_each_batch_of_the_retain_sample_is_cut():
    """128 F - C is above 256 for all but the shortest histories, so all is used."""
    model, request = small_case("bpr")
    outcome = reference("kookmin", init_rate=0.0).forget(model, request)
    assert outcome.details["num_reset"] == len(list(model.parameters()))
    assert outcome.status == "applied"


@pytest.mark.parametrize("model_name", ["gru4rec", "sets2sets"])
def test_every_tensor_loses_a_hundredth(model_name):
    model, request = small_case(model_name)
    before = [weight.detach().clone() for weight in model.parameters()]
    reference("kookmin").forget(model, request)
    for weight, old in zip(model.parameters(), before, strict=True):
        num = int(((weight - old).abs() > 1e-9).sum())
        assert num == max(1, weight.numel() // 100)
