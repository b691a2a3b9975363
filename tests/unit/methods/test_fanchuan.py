import math
import re

import numpy as np
import pytest
import torch
from planted_toys import Case, method, weights_of
from pydantic import ValidationError

from erase_ray.data.split import Part
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods._subspace import subspace
from erase_ray.methods.fanchuan import Fanchuan, contrast, flatness, open_items, write_back


def test_flatness_by_hand():
    """Probabilities 3/4 and 1/4: -(ln 3/4 + ln 1/4)/2 - ln 2; equal scores: nothing."""
    assert flatness(torch.tensor([[2.0, 2.0, 2.0]])).item() == pytest.approx(0.0, abs=1e-6)
    uneven = torch.tensor([[math.log(3.0), 0.0]])
    by_hand = -(math.log(0.75) + math.log(0.25)) / 2 - math.log(2)
    assert flatness(uneven).item() == pytest.approx(by_hand, rel=1e-5)
    both = torch.cat([uneven, torch.zeros(1, 2)])
    assert flatness(both).item() == pytest.approx(by_hand / 2, rel=1e-5)


def test_flatness_is_of_scores_not_of_probabilities():
    scores = torch.tensor([[5.0, 0.0, 0.0]])
    assert flatness(scores) == flatness(scores + 7)
    # the softmax of a softmax is nearly flat already
    assert flatness(torch.softmax(scores, 1)) < 0.1 * flatness(scores)


def test_contrast_by_hand():
    """Inner products 1 and -1: the mean of ln(1 + e^-2) and 2 + ln(1 + e^-2)."""
    forget, others = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert contrast(forget, others, 1.0).item() == pytest.approx(1 + math.log(1 + math.exp(-2)))
    assert contrast(forget, others, 2.0).item() == pytest.approx(0.5 + math.log(1 + math.exp(-1)))
    across = torch.tensor([[0.0, 3.0]])
    assert contrast(across, others, 1.0).item() == pytest.approx(math.log(2))


def test_open_items_are_all_but_those_the_person_keeps():
    case = Case("bpr", trained=False)
    request = case.request()
    own = case.data.interactions.of_users(np.array([case.people[0]]))
    marks = case.data.split.of(own)
    left = own.item[(marks == Part.TRAIN) & ~np.isin(own.row, request.spec.rows)]
    closed = np.flatnonzero(~open_items(request).numpy())
    assert closed.tolist() == np.unique(left).tolist()
    assert open_items(request)[request.items].all()


def test_scores_inside_a_subspace_are_those_of_the_moved_model():
    case = Case("bpr")
    batch = case.world.examples.batch(torch.arange(0, 900, 9), 1)
    parameters = dict(case.model.named_parameters())
    with subspace(case.model, parameters, [batch]) as space:
        assert set(space.places) == set(parameters)
        space.add(torch.linspace(-1, 1, space.size))
        write_back(case.model, space)
        inside = case.model.scores(batch).detach()
    assert torch.equal(inside, case.model.scores(batch).detach())


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "sets2sets"])
def test_forgets_toward_the_retrained_model_and_not_beyond_twice(name):
    case = Case(name)
    before = case.losses()
    case.use("retrained")
    retrained = case.losses()
    case.use("base")
    for request in case.requests():
        outcome, _ = attempt(method("fanchuan"), case.model, request)
        assert outcome.status == "applied", outcome.reason
        if case.model.has_edges:
            case.model.drop_edges(*request.edges)
    after = case.losses()
    rise = (after[0] - before[0]) / (retrained[0] - before[0])
    assert retrained[0] > before[0]
    assert 0.02 < rise < 2.0
    assert after[1] < 1.15 * before[1]


def test_rows_of_earlier_people_do_not_drift():
    case = Case("bpr")
    attempt(method("fanchuan"), case.model, case.request())
    first = int(case.people[0])
    before = case.model.user_embedding.weight[first].detach().clone()
    later = case.request(1, asked=[first], forgotten=case.rows[first])
    attempt(method("fanchuan"), case.model, later)
    assert torch.equal(case.model.user_embedding.weight[first], before)


def test_only_examples_to_forget_are_flattened():
    case = Case("gru4rec", trained=False)
    request = case.request()
    material = method("fanchuan", num_rounds=2)._material(request)
    assert len(request.cleaned)
    assert sum(map(len, material.forget)) == len(request.forget)
    assert sum(map(len, material.cleaned)) == len(request.cleaned)
    repaired = sum(len(batch) for step in material.repairs[0] for batch, _ in step.parts)
    assert repaired == len(request.kept) + max(128, 16 * len(request.forget))
    assert len(material.repairs) == len(material.others) == 2


def test_contrast_draws_other_examples_each_round():
    case = Case("bpr", trained=False)
    material = method("fanchuan", contrast_size=20)._material(case.request())
    drawn = [others[0].user_B for others in material.others]
    assert [len(users) for users in drawn] == [20] * 4
    assert not torch.equal(drawn[0], drawn[1])
    assert int(case.people[0]) not in torch.cat(drawn).tolist()


def test_steps_are_counted():
    case = Case("bpr")
    outcome, step_norm = attempt(method("fanchuan", num_rounds=2), case.model, case.request())
    assert outcome.details["num_repair"] == 2.0
    assert 1 <= outcome.details["num_forgetting"] <= 3
    assert outcome.details["loss_after"] > outcome.details["loss_trained"]
    assert outcome.num_gradients > 4
    assert step_norm > 0


def test_nobody_else_is_left():
    """Without other people there is nothing to contrast with, and scores are flattened again."""
    case = Case("bpr")
    everyone = range(case.data.interactions.num_users)
    outcome, _ = attempt(method("fanchuan"), case.model, case.request(asked=everyone))
    assert outcome.status == "applied"
    assert outcome.details["loss_after"] > outcome.details["loss_trained"]


def test_same_request_same_bits():
    found = []
    for draws in (1, 5):
        torch.rand(draws)
        case = Case("gru4rec")
        attempt(method("fanchuan", num_rounds=2), case.model, case.request())
        found.append(weights_of(case.model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_edges_are_back_and_modes_are_as_before():
    case = Case("lightgcn")
    case.model.train()
    before = case.model.graph.pairs()
    method("fanchuan", num_rounds=1).forget(case.model, case.request())
    assert all(torch.equal(a, b) for a, b in zip(case.model.graph.pairs(), before, strict=True))
    assert case.model.training


class Countdown:
    """A deadline that is over after some questions."""

    limit_s = 3.0

    def __init__(self, questions):
        self.left = questions

    def passed(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("questions", [0, 1, 3, 5])
def test_deadline_at_any_step(questions):
    case = Case("bpr")
    before = weights_of(case.model)
    request = case.request()
    request.deadline = Countdown(questions)
    outcome, step_norm = attempt(method("fanchuan"), case.model, request)
    assert (outcome.status, step_norm) == ("timed_out", 0.0)
    # one question a step; a step of forgetting may turn out to be none
    assert re.fullmatch(rf"3 s were over after [0-{questions}] steps", outcome.reason)
    assert all(torch.equal(before[name], now) for name, now in weights_of(case.model).items())


def test_weights_that_are_not_finite_are_undone():
    case = Case("bpr")
    before = weights_of(case.model)
    outcome, step_norm = attempt(method("fanchuan", learning_rate=1e38), case.model, case.request())
    assert (outcome.status, step_norm) == ("non_finite", 0.0)
    assert all(torch.equal(before[name], now) for name, now in weights_of(case.model).items())


def test_nothing_was_learned_from_it():
    case = Case("bpr")
    request = case.request()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    outcome = method("fanchuan").forget(case.model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"


def test_is_found_by_its_name():
    assert METHODS.get("fanchuan") is Fanchuan


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("temperature", 0.0, r"temperature\n\s+Input should be greater than 0"),
        ("num_rounds", -1, r"num_rounds\n\s+Input should be greater than or equal to 0"),
        ("max_rise", 0.0, r"max_rise\n\s+Input should be greater than 0"),
        ("rounds", 3, r"rounds\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Fanchuan.Settings(**{key: value})
