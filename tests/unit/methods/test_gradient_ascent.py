import numpy as np
import pytest
import torch
from planted_toys import Case, method, weights_of
from pydantic import ValidationError

from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods.gradient_ascent import GradientAscent


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "sets2sets"])
def test_forgets_toward_the_retrained_model_and_not_beyond_twice(name):
    case = Case(name)
    before = case.losses()
    case.use("retrained")
    retrained = case.losses()
    case.use("base")
    for request in case.requests():
        outcome, _ = attempt(method("gradient_ascent"), case.model, request)
        assert outcome.status in ("applied", "skipped"), outcome.reason
        if case.model.has_edges:
            case.model.drop_edges(*request.edges)
    after = case.losses()
    rise = (after[0] - before[0]) / (retrained[0] - before[0])
    assert retrained[0] > before[0]
    assert 0.15 < rise < 2.0
    assert after[1] < 1.05 * before[1]


def test_stops_at_the_height():
    """The loss of the person's examples before the request, and the gap of unseen ones."""
    case = Case("gru4rec")
    outcome, step_norm = attempt(
        method("gradient_ascent", max_rise=1.0, max_chain_rise=1.0), case.model, case.request()
    )
    found = outcome.details
    assert (outcome.status, outcome.reason) == ("applied", "")
    rise = max(found["gap"], 0.05 * found["loss_trained"])
    assert found["height"] == pytest.approx(found["loss_trained"] + rise)
    assert found["loss_before"] == pytest.approx(found["loss_trained"])
    assert abs(found["loss_after"] - found["height"]) <= 0.11 * rise
    assert step_norm > 0


def test_what_rises_is_measured_in_the_chain():
    case = Case("sets2sets")
    request = case.request()
    outcome, _ = attempt(method("gradient_ascent"), case.model, request)
    assert outcome.status == "applied"
    first = float(request.state["rise"])
    assert first <= 0.01
    later = case.request(1, asked=[int(case.people[0])])
    later.state["rise"] = torch.tensor(0.1, dtype=torch.float64)
    attempt(method("gradient_ascent"), case.model, later)
    # the chain has used up what it may, so the loss of others must not rise any more
    assert float(later.state["rise"]) <= 0.1


def test_as_little_known_as_unseen_examples_is_enough():
    """A model that has learnt nothing has no gap, and no loss to add to."""
    case = Case("bpr")
    outcome = method("gradient_ascent", min_rise=0.0)
    with torch.no_grad():
        for table in case.model.parameters():
            table.zero_()
    outcome, step_norm = attempt(outcome, case.model, case.request())
    assert (outcome.status, step_norm) == ("skipped", 0.0)
    assert outcome.reason == "what is to be forgotten is as little known as what was never seen"


def test_no_slope():
    case = Case("bpr")
    with torch.no_grad():
        for table in case.model.parameters():
            table.zero_()
    outcome, step_norm = attempt(method("gradient_ascent"), case.model, case.request())
    assert (outcome.status, step_norm) == ("skipped", 0.0)
    assert outcome.reason == (
        "stopped after 0 steps: the loss of what is to be forgotten has no slope that spares "
        "the rest"
    )


def test_height_out_of_reach():
    case = Case("bpr")
    few = method("gradient_ascent", max_steps=1, max_norm=1e-3)
    outcome, step_norm = attempt(few, case.model, case.request())
    assert outcome.status == "applied"
    assert outcome.reason == "the height was not reached after 1 steps"
    assert step_norm == pytest.approx(1e-3, rel=1e-3)


def test_stopped_for_what_is_left():
    case = Case("bpr")
    careful = method("gradient_ascent", max_rise=1e-9, max_steps=50)
    outcome, _ = attempt(careful, case.model, case.request())
    assert outcome.reason.startswith("stopped after ")
    assert outcome.reason.endswith("a further one would raise the loss of what is left")


def test_rows_of_other_people_stay_as_they_are():
    case = Case("bpr")
    before = case.model.user_embedding.weight.detach().clone()
    method("gradient_ascent", num_check=20).forget(case.model, case.request())
    moved = (case.model.user_embedding.weight != before).any(1)
    people = torch.nonzero(moved).flatten().tolist()
    sample = case.request().retain(40).users.tolist()
    assert int(case.people[0]) in people
    assert set(people) <= {int(case.people[0]), *sample}


def test_same_request_same_bits():
    found = []
    for draws in (1, 5):
        torch.rand(draws)
        case = Case("gru4rec")
        attempt(method("gradient_ascent"), case.model, case.request())
        found.append(weights_of(case.model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_edges_are_back_afterwards():
    case = Case("lightgcn")
    before = case.model.graph.pairs()
    method("gradient_ascent").forget(case.model, case.request())
    assert all(torch.equal(a, b) for a, b in zip(case.model.graph.pairs(), before, strict=True))


def test_deadline():
    case = Case("bpr")
    before = weights_of(case.model)
    outcome, step_norm = attempt(method("gradient_ascent"), case.model, case.request(limit_s=0.0))
    assert (outcome.status, step_norm) == ("timed_out", 0.0)
    assert outcome.reason == "0 s were over after 0 steps"
    assert all(torch.equal(before[name], now) for name, now in weights_of(case.model).items())


def test_loss_that_is_not_finite():
    case = Case("bpr")
    with torch.no_grad():
        case.model.user_embedding.weight[int(case.people[0])] = float("nan")
    outcome, step_norm = attempt(method("gradient_ascent"), case.model, case.request())
    assert (outcome.status, step_norm) == ("non_finite", 0.0)
    assert outcome.reason == "the loss of the examples to forget is not finite"
    assert all(np.isfinite(value) for value in outcome.details.values())


def test_nothing_was_learned_from_it():
    case = Case("bpr")
    request = case.request()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    outcome = method("gradient_ascent").forget(case.model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"


def test_is_found_by_its_name():
    assert METHODS.get("gradient_ascent") is GradientAscent


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("max_steps", 0, r"max_steps\n\s+Input should be greater than or equal to 1"),
        ("max_rise", 0.0, r"max_rise\n\s+Input should be greater than 0"),
        ("max_chain_rise", -1.0, r"max_chain_rise\n\s+Input should be greater than or equal to 0"),
        ("steps", 3, r"steps\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        GradientAscent.Settings(**{key: value})
