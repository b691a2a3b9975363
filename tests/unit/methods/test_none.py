import torch
from planted_toys import Case, method, weights_of

from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS


def test_changes_nothing_and_says_so():
    case = Case("bpr")
    before = weights_of(case.model)
    outcome, step_norm = attempt(method("none"), case.model, case.request())
    assert (outcome.status, step_norm) == ("applied", 0.0)
    assert outcome.reason == "no weight was changed, as this method promises"
    assert (outcome.num_gradients, outcome.num_hvps) == (0, 0)
    assert method("none").changes(case.model) == {}
    assert all(torch.equal(before[name], now) for name, now in weights_of(case.model).items())


def test_nothing_was_learned_from_it():
    case = Case("bpr")
    request = case.request()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    outcome = method("none").forget(case.model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"


def test_is_found_by_its_name_and_serves_every_model():
    kind = METHODS.get("none")
    assert kind.name == "none"
    assert kind.needs_base
    assert kind.serves_baselines
    assert kind.serves_learning
