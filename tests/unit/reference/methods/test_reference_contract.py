"""What all seven published methods do on models of every task."""

from dataclasses import replace

import pytest
import torch
from reference_toys import CPU, NAMES, SMALL, ask, reference, small_case
from safetensors.torch import load, save

from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.models import TrainingSettings
from erase_ray.reference._view import PLACE
from erase_ray.registry import part_title

LEARNS = TrainingSettings(learning_rate=1e-3)
FEW = {"ceu": {"cg_iterations": 3}, "idea": {"iterations": 3, "tune_factor": 4}}
MODELS = ("bpr", "lightgcn", "gru4rec", "sets2sets")


def served(name, model_name, limit_s=float("inf")):
    model, request = small_case(model_name, limit_s, LEARNS)
    before = [weight.detach().clone() for weight in model.parameters()]
    outcome, norm = attempt(reference(name, **FEW.get(name, {})), model, request)
    return model, request, before, outcome, norm


@pytest.mark.parametrize("name", NAMES)
def test_is_chosen_by_the_setting_and_says_so(name):
    kind = METHODS.get(name, "reference")
    assert kind.name == f"{name}.reference"
    assert kind.__module__ == f"erase_ray.reference.methods.{name}"
    assert part_title(name, kind.Settings().model_dump()) == kind.name
    assert "Defects, as published" in kind.__doc__


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_serves_or_says_why_not(name, model_name):
    model, request, before, outcome, norm = served(name, model_name)
    same = [torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True)]
    if outcome.status == "applied":
        assert norm > 0
        assert not all(same)
        assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
    else:
        assert outcome.reason
        assert all(same)
    assert outcome.num_gradients > 0
    assert {"F", "C", "R"} <= set(outcome.details)

    is_repeatable(name, model_name, (model, request, outcome))


def is_repeatable(name, model_name, first):
    """The same weights, outcome and state from another start of the global generator."""
    torch.rand(3)
    second = served(name, model_name)
    pairs = zip(first[0].parameters(), second[0].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first[2] == second[3]
    assert first[1].state.keys() == second[1].state.keys()
    states = [(first[1].state[key], second[1].state[key]) for key in first[1].state]
    assert all(torch.equal(a, b) for a, b in states)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model_name", [name for name in SMALL if name not in MODELS])
def test_serves_the_other_models(name, model_name):
    outcome = served(name, model_name)[3]
    assert outcome.status in ("applied", "skipped", "non_finite")
    assert outcome.status == "applied" or outcome.reason


@pytest.mark.parametrize("name", NAMES)
def test_no_time_means_no_change(name):
    model, _, before, outcome, _ = served(name, "bpr", limit_s=0.0)
    assert outcome.status == "timed_out"
    assert outcome.reason == "0 s were over before anything was changed"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_leaves_mode_and_generator_as_they_were(name):
    model, request = small_case("gru4rec", training=LEARNS)
    model.eval()
    torch.manual_seed(5)
    expected = torch.random.get_rng_state()
    reference(name, **FEW.get(name, {})).forget(model, request)
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.random.get_rng_state(), expected)
    assert next(model.parameters()).device == CPU


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_goes_on_from_stored_state(name):
    """The second request ends in the same weights whether its state was kept or read again."""
    after = []
    for is_stored in (False, True):
        model, request, *_ = served(name, "bpr")
        state = request.state
        assert PLACE in state
        state = load(save(state)) if is_stored else state
        table = request.world.interactions
        rows = table.row[table.user == 9][:2]
        second = replace(ask(request.world, rows, asked=[5], seed=8), state=state)
        attempt(reference(name, **FEW.get(name, {})), model, second)
        after.append([weight.detach().clone() for weight in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*after, strict=True))


def test_dropout_is_active():
    drops = [small_case("gru4rec", training=LEARNS, dropout=share) for share in (0.0, 0.5)]
    found = []
    for model, request in drops:
        outcome = reference("scif").forget(model, request)
        found.append(outcome.details["rhs_norm"])
    assert found[0] != found[1]


def test_merged_requests_have_a_larger_pool_for_gif():
    model, request = small_case("bpr", training=LEARNS)
    request.spec = replace(request.spec, num_wishes=2)
    merged = reference("gif", retain_rows=1).forget(model, request)
    model, request = small_case("bpr", training=LEARNS)
    single = reference("gif", retain_rows=1).forget(model, request)
    # 10 % of the table's 480 rows against 32, whole people of 12 rows each, 10 of them for training
    assert (merged.details["R"], single.details["R"]) == (40.0, 30.0)
