import numpy as np
import pytest
import torch
from method_toys import (
    TABLE,
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    fit,
    fresh,
    mean_loss,
    pairs,
    toy_request,
    toy_table,
    toy_world,
    weights,
)
from pydantic import ValidationError

from erase_ray import seeds
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods.seif import Seif, row_tables
from erase_ray.models.bpr import Bpr


def seif(**settings) -> Seif:
    return Seif(Seif.Settings(**settings))


def steps(rows=(12, 15), dropout=0.0, **options):
    model = fresh(StepModel, TABLE, dropout=dropout)
    return model, toy_request(toy_world(StepTask(), TABLE), rows, **options)


def method_noise(request, *shape):
    generator = seeds.torch_generator(request.seed, "method")
    return torch.empty(*shape, dtype=torch.float64).normal_(generator=generator)


def test_noise_on_the_rows_of_the_person_alone():
    model, request = pairs()
    before = weights(model)
    outcome = seif(repair_epochs=0, pick_sign=False).forget(model, request)
    assert (outcome.status, outcome.num_gradients) == ("applied", 0)
    old = before["user"][1]
    expected = before["user"].clone()
    expected[1] = old + old.abs() * (0.6 * method_noise(request, 1, 3)[0])
    assert torch.equal(model.user, expected)
    assert torch.equal(model.item, before["item"])


def test_noise_on_the_forgotten_items_where_there_are_no_users():
    model, request = steps()
    before = weights(model)
    seif(repair_epochs=0, pick_sign=False).forget(model, request)
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


def test_noise_has_the_variance_it_says():
    table = toy_table(num_users=2, num_items=14)
    model = fresh(UserModel, table, width=20_000)
    request = toy_request(toy_world(PairTask(), table), [12])
    old = model.user[1].detach().clone()
    seif(repair_epochs=0, pick_sign=False).forget(model, request)
    noise = (model.user[1].detach() - old) / old.abs()
    # five standard errors of a mean and of a variance of 20,000 normal numbers
    assert abs(noise.mean().item()) < 5 * 0.6 / 20_000**0.5
    assert abs(noise.var().item() - 0.36) < 5 * 0.36 * (2 / 20_000) ** 0.5


def test_of_noise_and_its_mirror_image_the_one_that_forgets_more():
    for seed in range(6):
        losses, moved = [], []
        for pick in (False, True):
            model, request = pairs(seed=seed)
            before = weights(model)["user"]
            seif(repair_epochs=0, pick_sign=pick).forget(model, request)
            losses.append(mean_loss(model, request.forget, seed, 1))
            moved.append((model.user - before)[1].detach())
        sign = 1 if losses[0] == losses[1] else -1
        torch.testing.assert_close(moved[1], sign * moved[0], rtol=1e-9, atol=1e-12)
        mirrored = pairs(seed=seed)[0]
        with torch.no_grad():
            mirrored.user[1] -= moved[1]
        assert losses[1] >= mean_loss(mirrored, request.forget, seed, 1)
        assert losses[1] >= losses[0]


def test_forgets_toward_the_retrained_loss_and_keeps_the_rest():
    table = toy_table(num_users=12, num_items=60, length=30)
    found = []
    for seed in range(10):
        model, request = pairs(rows=[30, 31, 32], table=table, seed=seed)
        world = request.world
        left = world.task.examples(request.after, world.split, world.cut)
        retrained = fresh(UserModel, table)
        fit(retrained, left, seed)
        fit(model, world.examples, seed)
        before = mean_loss(model, request.forget), mean_loss(model, left)
        assert seif().forget(model, request).status == "applied"
        after = mean_loss(model, request.forget), mean_loss(model, left)
        found.append([after[0] - before[0], mean_loss(retrained, request.forget) - before[0]])
        assert after[1] < 1.15 * before[1]
    rise, wanted = np.mean(found, 0)
    assert wanted > 0
    assert 0 < rise < 2 * wanted


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
def test_changes_the_rows_of_the_request_alone_and_leaves_no_gradient(make):
    model, request = make()
    before = weights(model)
    method, name = seif(), "user" if make is pairs else "item"
    rows = request.users if make is pairs else request.items
    assert set(method.changes(model)) == {name}
    method.forget(model, request)
    for key, weight in model.named_parameters():
        assert weight.grad is None
        changed = (
            torch.nonzero((weight != before[key]).flatten(1).any(1)) if weight.dim() > 1 else []
        )
        assert [int(row) for row in changed] == (rows.tolist() if key == name else [])
    assert torch.equal(weights(model).get("bias", request.users), before.get("bias", request.users))


def test_rest_rate_repairs_the_other_rows_as_well():
    moved = []
    for rest in (0.01, 0.5):
        model, request = pairs()
        before = weights(model)
        method = seif(rest_rate=rest, repair_epochs=1, learning_rate=1e-3, pick_sign=False)
        assert set(method.changes(model)) == {"user", "item"}
        method.forget(model, request)
        moved.append((model.item - before["item"]).abs().max().item())
    # one step of Adam is as long as its step size
    assert moved == pytest.approx([1e-5, 5e-4], rel=1e-3)


def test_rows_that_were_blurred_before_are_skipped():
    model, request = pairs(rows=(15,), forgotten=[12])
    before = weights(model)
    outcome = seif().forget(model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "earlier requests have blurred all rows that it is about"
    assert torch.equal(model.user, before["user"])
    assert seif(rest_rate=0.1).forget(model, request).status == "applied"
    assert not torch.equal(model.item, before["item"])


def test_weight_of_examples_that_aim_at_forgotten_items():
    """The repair of the item's rows sees nothing but examples that aim at them or weigh 1."""
    request = steps()[1]
    for low in (0.05, 1.0):
        pools = seif(forget_class_weight=low)._pools(request)
        for pool in pools:
            aims = torch.isin(pool.examples.items, request.items)
            assert set(pool.weight_N[aims].tolist()) <= {np.float32(low)}
            assert set(pool.weight_N[~aims].tolist()) == {1.0}
        assert torch.isin(pools[1].examples.items, request.items).any()


def test_undo_knows_of_every_change():
    for make in (pairs, steps):
        model, request = make()
        before = weights(model)
        seif().forget(model, request)
        request.undo.restore()
        assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_narrow_tables_are_blurred_where_no_batch_reads_them():
    """The person keeps nothing, so no batch of the repair reads his or her row."""
    model = fresh(Bpr, TABLE, embedding_size=4)
    request = toy_request(toy_world(PairTask(), TABLE), range(9, 18))
    before = weights(model)
    assert len(request.kept) == 0
    assert seif().forget(model, request).status == "applied"
    changed = torch.nonzero((model.user_embedding.weight != before["user_embedding.weight"]).any(1))
    assert changed.flatten().tolist() == [1]


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


def test_size_of_the_repair_sample():
    model, request = pairs()
    outcome = seif(retain_factor=20, min_retain=30).forget(model, request)
    assert outcome.details == {"num_kept": 7.0, "num_retain": 40.0, "num_blurred": 1.0}
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
