import numpy as np
import pytest
import torch
from method_toys import (
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    fit,
    fresh,
    mean_loss,
    toy_request,
    toy_table,
    toy_world,
    weights,
)
from pydantic import ValidationError

from erase_ray import seeds
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods.seif import Pool, Seif, blur, mini_batches, row_tables
from erase_ray.models.bpr import Bpr

TABLE = toy_table()


def seif(**settings) -> Seif:
    return Seif(Seif.Settings(**settings))


def pairs(rows=(12, 15), table=TABLE, **options):
    return fresh(UserModel, table), toy_request(toy_world(PairTask(), table), rows, **options)


def steps(rows=(12, 15), dropout=0.0, **options):
    model = fresh(StepModel, TABLE, dropout=dropout)
    return model, toy_request(toy_world(StepTask(), TABLE), rows, **options)


def method_noise(request, *shape):
    generator = seeds.torch_generator(request.seed, "method")
    return torch.empty(*shape, dtype=torch.float64).normal_(generator=generator)


def test_noise_on_the_rows_of_the_person_alone():
    model, request = pairs()
    before = weights(model)
    outcome = seif(repair_epochs=0, erase_std=0.6).forget(model, request)
    assert (outcome.status, outcome.num_gradients) == ("applied", 0)
    old = before["user"][1]
    expected = before["user"].clone()
    expected[1] = old + old.abs() * (0.6 * method_noise(request, 1, 3)[0])
    assert torch.equal(model.user, expected)
    assert torch.equal(model.item, before["item"])


def test_noise_on_the_forgotten_items_where_there_are_no_users():
    model, request = steps()
    before = weights(model)
    seif(repair_epochs=0, erase_std=0.6).forget(model, request)
    items = request.items
    old = before["item"][items]
    expected = before["item"].clone()
    expected[items] = old + old.abs() * (0.6 * method_noise(request, 2, 3))
    assert len(items) == 2
    assert torch.equal(model.item, expected)
    assert torch.equal(model.before, before["before"])
    assert torch.equal(model.bias, before["bias"])


def test_noise_falls_on_an_item_once_in_a_chain():
    first, second = TABLE.item[[12, 15]]
    earlier = TABLE.row[(TABLE.item == first) & (TABLE.row != 12)][:1]
    model, request = steps(forgotten=earlier)
    before = weights(model)["item"]
    seif(repair_epochs=0).forget(model, request)
    changed = torch.nonzero((model.item != before).any(1)).flatten()
    assert changed.tolist() == [second]


def test_noise_falls_on_a_person_once_in_a_chain():
    model, request = pairs(rows=(15,), forgotten=[12])
    before = weights(model)
    outcome = seif(repair_epochs=0).forget(model, request)
    assert outcome.status == "applied"
    assert torch.equal(model.user, before["user"])


def test_noise_has_the_variance_it_says():
    table = toy_table(num_users=2, num_items=14)
    model = fresh(UserModel, table, width=20_000)
    request = toy_request(toy_world(PairTask(), table), [12])
    old = model.user[1].detach().clone()
    blur(model, request, 0.6)
    noise = (model.user[1].detach() - old) / old.abs()
    # five standard errors of a mean and of a variance of 20,000 normal numbers
    assert abs(noise.mean().item()) < 5 * 0.6 / 20_000**0.5
    assert abs(noise.var().item() - 0.36) < 5 * 0.36 * (2 / 20_000) ** 0.5


def test_repair_raises_the_sensitive_loss_and_leaves_the_retained_alone():
    table = toy_table(num_users=12, num_items=60, length=30)
    found = []
    for seed in range(10):
        model, request = pairs(rows=[30, 31, 32], table=table, seed=seed)
        world = request.world
        fit(model, world.examples, seed)
        left = world.task.examples(request.after, world.split, world.cut)
        before = mean_loss(model, request.forget), mean_loss(model, left)
        outcome = seif(learning_rate=5e-3).forget(model, request)
        assert outcome.status == "applied"
        after = mean_loss(model, request.forget), mean_loss(model, left)
        found.append([after[0] - before[0], after[1] / before[1]])
        assert after[1] < 1.02 * before[1]
    assert np.mean([sensitive for sensitive, _ in found]) > 0.01


def test_repair_moves_toward_the_loss_of_what_is_left():
    model, request = pairs()
    fit(model, request.world.examples, 7)
    base = weights(model)
    losses = []
    for epochs in (0, 40):
        model.load_state_dict(base)
        # without the last noise both see the same first draw
        settings = {"repair_epochs": epochs, "erase_std_final": 0.0, "learning_rate": 1e-2}
        seif(erase_std=2.0, **settings).forget(model, toy_request(request.world, [12, 15]))
        losses.append(mean_loss(model, request.kept))
    assert losses[1] < losses[0] - 0.01


def test_final_noise_comes_before_the_last_of_several_passes():
    def after(epochs, final):
        model, request = pairs()
        settings = {"erase_std": 0.0, "learning_rate": 1e-12, "erase_std_final": final}
        seif(repair_epochs=epochs, **settings).forget(model, request)
        return model.user.detach()

    model, request = pairs()
    old = model.user.detach().clone()
    # the first draw was spent on the noise that erases, of size zero here
    noise = method_noise(request, 2, 3)[1]
    expected = old[1] + old[1].abs() * (0.005 * noise)
    torch.testing.assert_close(after(4, 0.005)[1], expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(after(1, 0.005), old, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(after(4, 0.0), old, rtol=1e-9, atol=1e-9)


def test_stream_of_requests_stays_bounded():
    """200 people in turn; the reference's noise on all weights blows up on such a stream."""
    table = toy_table(num_users=220, num_items=60, length=20, seed=3)
    world = toy_world(PairTask(), table)
    model = fresh(Bpr, table, embedding_size=8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    everyone = torch.arange(len(world.examples))
    for epoch in range(60):
        optimiser.zero_grad()
        model.loss(world.examples.batch(everyone, epoch)).mean().backward()
        optimiser.step()
    asks_last = world.examples.take(torch.nonzero(world.examples.users >= 200).flatten())
    before = mean_loss(model, asks_last), mean_loss(model, world.examples)
    forgotten, asked = np.zeros(0, np.int64), []
    method = seif()
    for user in range(200):
        rows = 20 * user + np.array([3, 11])
        request = toy_request(world, rows, forgotten, asked, seed=user)
        assert method.forget(model, request).status == "applied"
        forgotten, asked = np.append(forgotten, rows), [*asked, user]
    gone = torch.isin(world.examples.rows, torch.as_tensor(forgotten))
    left = world.examples.take(torch.nonzero(~gone).flatten())
    assert before[0] < 0.5
    assert mean_loss(model, asks_last) < 1.1 * before[0]
    assert mean_loss(model, left) < 1.5 * before[1]


@pytest.mark.parametrize("make", [pairs, steps])
def test_changes_the_tables_alone_and_leaves_no_gradient(make):
    model, request = make()
    before = weights(model)
    method = seif()
    assert set(method.changes(model)) == ({"user", "item"} if make is pairs else {"item"})
    method.forget(model, request)
    for name, weight in model.named_parameters():
        assert weight.grad is None
        assert torch.equal(weight, before[name]) == (name not in method.changes(model))


def test_same_request_same_bits_with_dropout_and_whatever_was_drawn_before():
    found = []
    for draws in (1, 5):
        torch.rand(draws)
        model, request = steps(dropout=0.5)
        model.eval()
        state = torch.get_rng_state()
        seif().forget(model, request)
        assert torch.equal(torch.get_rng_state(), state)
        assert not model.training
        found.append(weights(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_pairs_of_items_are_no_rows():
    model = fresh(StepModel, TABLE)
    square = torch.nn.Parameter(torch.zeros(TABLE.num_items, TABLE.num_items))
    model.item_tables = lambda: {"item": model.item, "gate": square, "bias": model.bias}
    assert set(row_tables(model)) == {"item", "bias"}


def test_biases_are_blurred_too():
    model, request = steps()
    model.item_tables = lambda: {"bias": model.bias}
    old = model.bias.detach()[request.items].clone()
    blur(model, request, 0.6)
    expected = old + old.abs() * (0.6 * method_noise(request, 2))
    assert torch.equal(model.bias[request.items], expected)


def test_examples_that_aim_at_forgotten_items_weigh_less():
    request = pairs()[1]
    marked = torch.zeros(TABLE.num_items, dtype=torch.bool)
    marked[request.items] = True
    pool = Pool(request.world.examples, 0.05, marked)
    items = torch.as_tensor(TABLE.item)
    assert set(pool.weight_N[torch.isin(items, request.items)].tolist()) == {np.float32(0.05)}
    assert set(pool.weight_N[~torch.isin(items, request.items)].tolist()) == {1.0}


def test_weight_zero_keeps_examples_out_of_the_repair():
    """With a pool of nothing but forgotten items at weight zero the repair has no gradient."""
    model, request = pairs()
    before = weights(model)
    aims = torch.isin(request.world.examples.items, request.items)
    only = request.world.examples.take(torch.nonzero(aims).flatten())
    request.__dict__["kept"] = only
    seif(erase_std=0.0, min_retain=0, retain_factor=0, forget_class_weight=0.0).forget(
        model, request
    )
    untouched = weights(model)
    # noise of the last pass is all that is left
    assert torch.equal(untouched["item"], before["item"])
    model, request = pairs()
    request.__dict__["kept"] = only
    seif(erase_std=0.0, min_retain=0, retain_factor=0, forget_class_weight=0.05).forget(
        model, request
    )
    assert not torch.equal(model.item, before["item"])


def test_mini_batches_hold_every_example_once_and_a_share_of_each_pool():
    request = pairs()[1]
    marked = torch.zeros(TABLE.num_items, dtype=torch.bool)
    retain = request.retain(40)
    pools = [Pool(request.kept, 0.05, marked), Pool(retain, 0.05, marked)]
    batches = list(mini_batches(pools, 10, seed=1, epoch=0))
    assert len(request.kept) == 7
    assert len(batches) == 5
    assert [[len(w) for _, w in parts] for parts in batches] == [[2, 8], [2, 8], *[[1, 8]] * 3]
    seen = [(b.user_B, b.item_B) for parts in batches for b, _ in parts]
    found = sorted(
        zip(*(torch.cat(column).tolist() for column in zip(*seen, strict=True)), strict=True)
    )
    expected = [(e.users.tolist(), e.items.tolist()) for e in (request.kept, retain)]
    assert found == sorted(
        pair for users, items in expected for pair in zip(users, items, strict=True)
    )
    again = list(mini_batches(pools, 10, seed=1, epoch=1))
    assert [b.item_B.tolist() for b, _ in again[0]] != [b.item_B.tolist() for b, _ in batches[0]]


def test_mini_batches_of_nothing():
    request = pairs()[1]
    nothing = Pool(request.kept.take(torch.arange(0)), 0.05, torch.zeros(14, dtype=torch.bool))
    assert list(mini_batches([nothing, nothing], 10, seed=1, epoch=0)) == []


def test_size_of_the_repair_sample():
    model, request = pairs()
    outcome = seif(retain_factor=20, min_retain=30).forget(model, request)
    assert outcome.details == {"num_kept": 7.0, "num_retain": 40.0}
    assert outcome.num_gradients == 4
    model, request = pairs()
    outcome = seif(retain_factor=2, min_retain=30, batch_size=10).forget(model, request)
    assert outcome.details["num_retain"] == 30.0
    assert outcome.num_gradients == 4 * 4


def test_aim_share_draws_from_the_forgotten_items():
    request = pairs()[1]
    shares = []
    for aim_share in (0.0, 1.0):
        pool = seif(aim_share=aim_share, min_retain=5, retain_factor=0)._pools(request)[1]
        shares.append((pool.weight_N < 1).float().mean().item())
    assert shares[0] < shares[1] == 1.0


def test_nothing_was_learned_from_it():
    model, request = pairs()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    before = weights(model)
    outcome = seif().forget(model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_deadline():
    model, request = pairs(limit_s=0.0)
    outcome = seif().forget(model, request)
    assert outcome.status == "timed_out"
    assert outcome.reason == "0 s were over after 0 repair steps"
    assert outcome.num_gradients == 0


def test_weights_that_are_not_finite_are_undone():
    model, request = pairs()
    before = weights(model)
    outcome, step_norm = attempt(seif(learning_rate=1e308), model, request)
    assert (outcome.status, step_norm) == ("non_finite", 0.0)
    assert outcome.reason == "the step made weights not finite"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_is_found_by_its_name():
    assert METHODS.get("seif") is Seif
    assert METHODS.get("seif").needs_base


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("erase_std", -0.1, r"erase_std\n\s+Input should be greater than or equal to 0"),
        ("learning_rate", 0.0, r"learning_rate\n\s+Input should be greater than 0"),
        ("aim_share", 1.5, r"aim_share\n\s+Input should be less than or equal to 1"),
        ("batch_size", 0, r"batch_size\n\s+Input should be greater than or equal to 1"),
        ("momentum", 0.9, r"momentum\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Seif.Settings(**{key: value})
