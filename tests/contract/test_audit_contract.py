"""What every audit must do."""

import re

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from erase_ray.audits import AUDITS, Finding, ModelAudit, ObservationAudit, Observations
from erase_ray.data.split import Part
from erase_ray.models import MODELS
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import training_edges
from tests.conftest import CPU, make_model, planted, set_edges, trained_weights

NAMES = [name for name in AUDITS.names() if AUDITS.get(name).__module__.startswith("erase_ray.")]
OBSERVING = [name for name in NAMES if issubclass(AUDITS.get(name), ObservationAudit)]
LOOKING = [name for name in NAMES if issubclass(AUDITS.get(name), ModelAudit)]


def make(name: str, **settings):
    kind = AUDITS.get(name)
    return kind(kind.Settings(**settings))


def check(findings: list[Finding]) -> None:
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    for finding in findings:
        assert re.fullmatch(r"[a-z0-9_.]+", finding.name)
        assert isinstance(finding.value, float)
        assert isinstance(finding.n, int)
        assert finding.n >= 0
        assert finding.unit
        assert finding.better in ("up", "down")


def same(one: list[Finding], other: list[Finding]) -> bool:
    return [repr(finding) for finding in one] == [repr(finding) for finding in other]


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name):
    kind = AUDITS.get(name)
    assert kind.name == name
    assert kind.version >= 1
    assert issubclass(kind, (ObservationAudit, ModelAudit))
    assert re.search(r"Papers?: ", kind.__doc__ or "")
    for field in kind.Settings.model_fields.values():
        assert not field.is_required()
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind.Settings(no_such_key=1)


def observations(leak: float, num_models: int, seed: int = 0) -> Observations:
    """60 requests of three examples each."""
    draws = np.random.default_rng([num_models, seed])
    order_RK = draws.random((60, num_models)).argsort(axis=1)
    member_KN = np.repeat(order_RK < num_models // 2, 3, axis=0).T
    shape = member_KN.shape
    value_KN = draws.normal(-6, 1, shape[1]) + draws.normal(0, 0.3, shape) + leak * member_KN
    value_KZ = draws.normal(-6, 1, 400) + draws.normal(0, 0.3, (num_models, 400))
    request_N = np.repeat(np.arange(60), 3)
    return Observations(value_KN, value_KN, member_KN, request_N, value_KZ, value_KZ, seed)


def figures(name: str, observed: Observations) -> dict[str, float]:
    audit = make(name, shadows=len(observed.member_KN))
    return {finding.name: finding.value for finding in audit.findings(observed)}


@pytest.mark.parametrize("name", OBSERVING)
@pytest.mark.parametrize("num_models", [4, 6, 8])
def test_finds_a_leak_and_only_where_there_is_one(name, num_models):
    assert figures(name, observations(0.8, num_models))["auc_low"] > 0.6
    unleaked = [figures(name, observations(0, num_models, seed)) for seed in range(20)]
    # each interval may miss in one case of 20; four misses have a chance of 2 %
    assert sum(found["auc_low"] < 0.5 < found["auc_high"] for found in unleaked) >= 17


@pytest.mark.parametrize("name", OBSERVING)
def test_is_a_function_of_observations_which_it_leaves_alone(name):
    made = observations(0.3, 8)
    before = made.after_KN.copy(), made.after_KZ.copy(), made.member_KN.copy()
    torch.rand(3)
    first, second = (make(name).findings(made) for _ in range(2))
    check(first)
    assert same(first, second)
    for old, new in zip(before, (made.after_KN, made.after_KZ, made.member_KN), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.parametrize("name", OBSERVING)
def test_numbers_of_requests_are_names_alone(name):
    made = observations(0.3, 8)
    renamed = Observations(**(vars(made) | {"request_N": 1000 - 7 * made.request_N}))
    values = [[f.value for f in make(name).findings(each)] for each in (made, renamed)]
    assert values[0] == pytest.approx(values[1], nan_ok=True)


class Subjects:
    """A model after three epochs; the retrained one has other initial weights and fewer rows."""

    seed = 3
    marks = (2, 4)

    def __init__(self, model_name: str) -> None:
        self.model_name, self.data = model_name, planted(MODELS.get(model_name).task)
        self.task = TASKS.get(self.data.task)()
        self.rows = self.data.interactions.row[:40]
        self.cut = Cut(make_model(model_name, self.data).max_history, CPU)

    def original(self):
        model = make_model(self.model_name, self.data)
        model.load_state_dict(trained_weights(self.model_name))
        set_edges(model, self.data)
        return model

    def retrained(self, mark):
        model = make_model(self.model_name, self.data)
        model.reset(torch.Generator().manual_seed(mark))
        if not model.learns:
            model.load_state_dict(trained_weights(self.model_name))
        if model.has_edges:
            left = self.data.interactions.without(self.rows)
            model.set_edges(*training_edges(left, self.data.split, CPU))
        return model

    audited = retrained

    def queries(self, mark):
        left = self.data.interactions.without(self.rows)
        users = np.unique(self.data.interactions.user[self.rows])
        return {
            "test": self.task.queries(left, self.data.split, Part.TEST, self.cut),
            "probe": self.task.probe(left, self.data.split, users, self.cut),
        }

    def forgotten(self, mark):
        examples = self.task.examples(self.data.interactions, self.data.split, self.cut)
        gone = torch.isin(examples.rows, torch.from_numpy(self.rows))
        return examples.take(torch.nonzero(gone).flatten())

    def learn(self, model, examples, step):
        batch = examples.batch(torch.arange(len(examples)), step)
        model.train()
        loss = model.loss(batch).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.grad is not None:
                    weight -= 0.01 * weight.grad
        return loss.item()


@pytest.mark.parametrize(
    "model_name", ["bpr", "lightgcn", "sasrec", "dnntsp", "ease", "pop_basket"]
)
@pytest.mark.parametrize("name", LOOKING)
def test_tells_of_the_marks_it_is_given_and_always_the_same(name, model_name):
    settings = {"max_steps": 3} if name == "relearning" else {}
    found = make(name, **settings).findings(Subjects(model_name))
    assert set(found) <= {2, 4}
    for findings in found.values():
        check(findings)
    if MODELS.get(model_name).learns:
        assert any(found.values())
    again = make(name, **settings).findings(Subjects(model_name))
    assert all(same(found[mark], again[mark]) for mark in found)
