"""The chain of requests: what is undone, what is recorded, and where the marks are."""

import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.experiment.chain import attempt
from erase_ray.methods import Method, Outcome, Request
from erase_ray.methods._request import World
from erase_ray.scenarios import Chain, RequestSpec
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, make_model, planted


class Scribble(Method):
    """Adds a number to the head and claims any status."""

    def __init__(self, status: str, number: float = 1.0) -> None:
        super().__init__(None)
        self.status, self.number = status, number

    def changes(self, model):
        return model.head_parameters()

    def forget(self, model, request):
        with torch.no_grad():
            for weight in self.changes(model).values():
                weight += self.number
        return Outcome(self.status, "because")


@pytest.fixture
def world() -> World:
    data = planted("cf")
    task, cut = TASKS.get("cf")(), Cut(0, CPU)
    examples = task.examples(data.interactions, data.split, cut)
    table: Interactions = data.interactions
    return World(task, table, data.split, cut, examples, table.num_items, lambda *_: None)


@pytest.fixture
def request_made(world) -> Request:
    user = int(world.interactions.user[0])
    rows = world.interactions.row[world.interactions.user == user][:2]
    spec = RequestSpec(0, np.array([user]), rows)
    size = len(world.examples)
    return Request(spec, np.zeros(0, np.int64), world, torch.tensor([user]), size, seed=3)


@pytest.mark.parametrize("status", ["skipped", "timed_out", "non_finite", "empty"])
def test_only_applied_may_change_the_weights(status, request_made):
    model = make_model("bpr", planted("cf"))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    outcome, norm = attempt(Scribble(status), model, request_made)
    assert (outcome.status, outcome.reason, norm) == (status, "because", 0.0)
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())


def test_applied_is_kept_and_its_norm_is_measured(request_made):
    model = make_model("bpr", planted("cf"))
    before = model.user_embedding.weight.detach().clone()
    outcome, norm = attempt(Scribble("applied", 0.5), model, request_made)
    assert outcome.status == "applied"
    assert norm == pytest.approx(0.5 * before.numel() ** 0.5, rel=1e-6)
    torch.testing.assert_close(model.user_embedding.weight.detach(), before + 0.5)


def test_weights_that_are_not_finite_are_undone(request_made):
    model = make_model("bpr", planted("cf"))
    before = model.user_embedding.weight.detach().clone()
    outcome, norm = attempt(Scribble("applied", float("nan")), model, request_made)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the step made weights not finite"
    assert norm == 0.0
    assert torch.equal(model.user_embedding.weight.detach(), before)


def test_request_shows_what_is_lost_and_who_may_be_sampled(request_made, world):
    lost = set(request_made.spec.rows.tolist())
    assert set(request_made.forget.rows.tolist()) <= lost
    assert len(request_made.cleaned) == 0
    assert not lost & set(request_made.kept.rows.tolist())
    assert not lost & set(request_made.after.row.tolist())
    sample = request_made.retain(200)
    assert len(sample) == 200
    assert request_made.spec.user not in sample.users.tolist()
    assert len(set(sample.rows.tolist())) == 200


def test_cleaned_session_examples_have_no_forgotten_item_in_their_history():
    data = planted("session_based")
    table, task, cut = data.interactions, TASKS.get("session_based")(), Cut(50, CPU)
    examples = task.examples(table, data.split, cut)
    world = World(task, table, data.split, cut, examples, table.num_items, lambda *_: None)
    row = 1
    spec = RequestSpec(0, table.user[[row]].astype(np.int64), np.array([row]))
    users = torch.tensor([spec.user])
    request = Request(spec, np.zeros(0, np.int64), world, users, len(examples), seed=3)
    session = table.row[table.sequence == table.sequence[row]]
    later = set(session[session > row].tolist()) & set(examples.rows.tolist())
    assert set(request.cleaned.rows.tolist()) == later
    assert set(request.forget.rows.tolist()) == later | {row}
    assert len(request.kept) == len(examples.users[examples.users == spec.user]) - 1


@pytest.mark.parametrize(
    ("n", "marks"), [(1, (1, 1, 1, 1)), (3, (1, 2, 3, 3)), (4, (1, 2, 3, 4)), (10, (3, 5, 8, 10))]
)
def test_marks_are_quarters_rounded_up(n, marks):
    specs = tuple(RequestSpec(i, np.array([i]), np.array([i])) for i in range(n))
    assert Chain(specs, np.arange(n), np.ones(1, bool)).marks == marks


@pytest.mark.parametrize(("status", "number"), [("skipped", 1.0), ("applied", float("nan"))])
def test_buffers_are_undone_with_the_weights(status, number, request_made):
    class Counting(Scribble):
        def forget(self, model, request):
            model.num_seen.add_(1)
            return super().forget(model, request)

    model = make_model("bpr", planted("cf"))
    model.register_buffer("num_seen", torch.zeros(()))
    attempt(Counting(status, number), model, request_made)
    assert model.num_seen == 0
    attempt(Counting("applied"), model, request_made)
    assert model.num_seen == 1
