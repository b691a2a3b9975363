import math

import pytest
import torch
from reference_toys import SMALL, ask, build, reference, seen, small_case, table_for, work_of

from erase_ray.experiment.chain import attempt
from erase_ray.models import TrainingSettings
from erase_ray.reference._adam import SharedAdam
from erase_ray.reference._work import published
from erase_ray.reference.methods.seif import blurred

ONLY_NOISE = {"repair_epochs": 0}
NO_NOISE = {"erase_std": 0.0, "erase_std_final": 0.0}


def test_noise_compounds():
    """The root mean square grows 1.166 times a request, the median falls to 0.80."""
    model, request = small_case("bpr", embedding_size=512)
    sizes = []
    for number in range(4):
        weights = torch.cat([weight.detach().abs().flatten() for weight in model.parameters()])
        sizes.append((weights.square().mean().sqrt(), weights.median()))
        request.seed = number
        outcome, norm = attempt(reference("seif", **ONLY_NOISE), model, request)
        request.undo = type(request.undo)()
    assert outcome.status == "applied"
    assert norm > 0
    growth, shrinkage = ((sizes[3][i] / sizes[0][i]).item() ** (1 / 3) for i in (0, 1))
    assert growth == pytest.approx(math.sqrt(1.36), rel=0.02)
    assert growth == pytest.approx(1.166, rel=0.02)
    assert shrinkage == pytest.approx(0.80, abs=0.03)


@pytest.mark.parametrize("model_name", SMALL)
def test_what_is_blurred(model_name):
    model = build(model_name, table_for(model_name))
    everything = set(dict(model.named_parameters()))
    expected = {
        "bpr": everything,
        "lightgcn": everything,
        "sgl": everything,
        "gru4rec": {"item_embedding.weight"},
        "narm": {"item_embedding.weight"},
        "sasrec": {"item_embedding.weight", "position_embedding.weight"},
        "srgnn": everything
        - {name for name in everything if name.startswith(("gated_step.bias", "gated_step.input"))}
        - {name for name in everything if name.startswith("gated_step.state")},
        "sets2sets": {"encoder_embedding.weight", "decoder_embedding.weight"},
        "dnntsp": {"item_embedding.weight"}
        | {name for name in everything if name.startswith("convolutions")},
    }
    assert set(blurred(model)) == expected[model_name]


def repaired(weight, **settings):
    model, request = small_case("bpr")
    reference("seif", forget_class_weight=weight, **settings).forget(model, request)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_the_weight_of_a_batch_does_nothing():
    heavy, light = repaired(1.0), repaired(0.05)
    untouched = repaired(1.0, learning_rate=1e-12)
    assert (heavy - untouched).square().mean().sqrt() > 1e-4
    assert (heavy - light).square().mean().sqrt() < 1e-5
    assert not torch.equal(heavy, light)


def test_weights_are_those_of_items_of_the_whole_history():
    model, request = small_case("bpr")
    method = reference("seif", erase_std=0.0, erase_std_final=0.0, repair_epochs=1)
    view = seen(request, 8, 32)
    known = torch.isin(view.retain.items, view.own.items)
    assert 0 < known.sum() < len(known)
    share = torch.where(known, 0.05, 1.0).mean()
    with published(model, request):
        work = work_of(model, request, view)
        assert method._weights(work).mean().item() == pytest.approx(share.item())


def test_final_noise_comes_before_the_last_of_several_passes():
    still = {"erase_std": 0.0, "erase_std_final": 0.5, "learning_rate": 1e-12}
    for epochs, is_blurred in ((1, False), (2, True), (4, True)):
        model, request = small_case("bpr")
        before = model.user_embedding.weight.detach().clone()
        reference("seif", repair_epochs=epochs, **still).forget(model, request)
        ratio = ((model.user_embedding.weight - before) / before).std().item()
        assert ratio == pytest.approx(0.5 if is_blurred else 0.0, abs=0.08)


def test_rate_is_its_own_and_moments_are_kept():
    model, request = small_case("bpr", training=TrainingSettings(learning_rate=1e-12))
    outcome = reference("seif", **NO_NOISE).forget(model, request)
    assert outcome.num_gradients == int(request.state["adam/item_embedding.weight/step"]) == 4
    before = model.item_embedding.weight.detach().clone()
    model_2, _ = small_case("bpr")
    change = (before - model_2.item_embedding.weight).abs().max().item()
    assert 7e-4 < change < 4 * 1.2 * 7e-4
    with published(model, request):
        adam = SharedAdam(work_of(model, request, seen(request, 8, 32)))
    state = adam._adam.state[model.item_embedding.weight]
    assert torch.equal(state["exp_avg"], request.state["adam/item_embedding.weight/exp_avg"])


def test_gradients_are_cut_to_max_norm():
    moments = []
    for norm in (1e-6, float("inf")):
        model, request = small_case("bpr")
        method = reference("seif", erase_std=0.0, repair_epochs=1, max_norm=norm)
        method.forget(model, request)
        names = [name for name in request.state if name.endswith("exp_avg")]
        moments.append(math.sqrt(sum(float(request.state[n].square().sum()) for n in names)))
    assert moments[0] == pytest.approx(0.1 * 1e-6, rel=1e-3)
    assert moments[1] > 1e-5


def test_own_limit_ends_the_passes_and_keeps_the_noise():
    model, request = small_case("bpr")
    outcome, norm = attempt(reference("seif", limit_s=1e-9), model, request)
    assert outcome.status == "applied"
    assert outcome.reason == "1e-09 s were over after 0 steps of Adam"
    assert norm > 1


def test_forget_set_plays_no_part_in_the_noise():
    after = []
    for rows in ([60, 61], [65]):
        model, request = small_case("bpr")
        reference("seif", **ONLY_NOISE).forget(model, ask(request.world, rows))
        after.append(model.item_embedding.weight.detach().clone())
    assert torch.equal(*after)
