import pytest
import torch
from planted_toys import Case, method, weights_of
from pydantic import ValidationError

from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._repair import Pool, learning, plan
from erase_ray.methods.finetune import Finetune


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "sets2sets"])
def test_same_steps_as_adam_on_the_whole_tables(name):
    case = Case(name)
    request = case.request()
    attempt(method("finetune", min_retain=60, batch_size=32, num_epochs=2), case.model, request)
    found = weights_of(case.model)
    case.use("base")
    request = case.request()
    num = max(60, 32 * len(request.forget))
    steps = plan([Pool(request.kept), Pool(request.retain(num))], 32, request.seed, 2)
    whole = torch.optim.Adam(case.model.parameters(), lr=1e-3)
    with without_edges(case.model, request), learning(case.model, request.seed, request.device):
        for step in steps:
            losses = [case.model.loss(batch) for batch, _ in step.parts]
            whole.zero_grad()
            torch.cat(losses).mean().backward()
            whole.step()
    for key, weight in case.model.named_parameters():
        torch.testing.assert_close(found[key], weight.detach(), rtol=1e-3, atol=2e-5)


def test_lowers_the_loss_of_what_is_left():
    case = Case("bpr")
    before = case.losses()
    for request in case.requests():
        assert method("finetune").forget(case.model, request).status == "applied"
    after = case.losses()
    assert after[1] < before[1]
    # forgetting is left to time
    assert after[0] - before[0] > after[1] - before[1]


def test_rows_of_nobody_in_the_sample_stay_as_they_are():
    case = Case("bpr")
    request = case.request(asked=[int(case.people[1])])
    before = weights_of(case.model)
    outcome = method("finetune", min_retain=30, retain_factor=0).forget(case.model, request)
    sample = request.retain(30)
    moved = (case.model.user_embedding.weight != before["user_embedding.weight"]).any(1)
    assert set(torch.nonzero(moved).flatten().tolist()) == {
        int(case.people[0]),
        *sample.users.tolist(),
    }
    assert outcome.details == {"num_kept": float(len(request.kept)), "num_retain": 30.0}
    assert outcome.num_gradients == 4


def test_same_request_same_bits():
    found = []
    for draws in (1, 5):
        torch.rand(draws)
        case = Case("gru4rec")
        attempt(method("finetune", num_epochs=1, min_retain=64), case.model, case.request())
        found.append(weights_of(case.model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_edges_are_back_afterwards():
    case = Case("lightgcn")
    before = case.model.graph.pairs()
    method("finetune", num_epochs=1).forget(case.model, case.request())
    assert all(torch.equal(a, b) for a, b in zip(case.model.graph.pairs(), before, strict=True))


def test_deadline():
    case = Case("bpr")
    before = weights_of(case.model)
    outcome, step_norm = attempt(method("finetune"), case.model, case.request(limit_s=0.0))
    assert (outcome.status, step_norm) == ("timed_out", 0.0)
    assert outcome.reason == "0 s were over after 0 steps"
    assert all(torch.equal(before[name], now) for name, now in weights_of(case.model).items())


def test_nothing_was_learned_from_it():
    case = Case("bpr")
    request = case.request()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    outcome = method("finetune").forget(case.model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"


def test_nobody_is_left():
    case = Case("bpr")
    request = case.request()
    request.__dict__["kept"] = request.kept.take(torch.arange(0))
    outcome = method("finetune", retain_factor=0, min_retain=0).forget(case.model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "nobody has an example left to train on"


def test_is_found_by_its_name():
    assert METHODS.get("finetune") is Finetune


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("num_epochs", 0, r"num_epochs\n\s+Input should be greater than or equal to 1"),
        ("learning_rate", 0.0, r"learning_rate\n\s+Input should be greater than 0"),
        ("epochs", 3, r"epochs\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Finetune.Settings(**{key: value})
