"""What every audit must do."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import torch

from erase_ray.audits import Finding, ModelAudit, ObservationAudit, Observations
from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, NotApplicableError, expect
from erase_ray.contract._saying import SAYING
from erase_ray.contract.planted import (
    CPU,
    examples_of,
    make_model,
    planted,
    shuffle_generators,
    trained,
    trained_weights,
)
from erase_ray.data.split import Part
from erase_ray.models import MODELS, Model
from erase_ray.tasks import TASKS, Cut, Examples, Queries
from erase_ray.training import training_edges

MODEL_NAMES = ("bpr", "lightgcn", "sasrec", "dnntsp", "ease", "pop_basket")
SHADOWS = (4, 6, 8)
LEAK, NO_LEAK, NUM_DRAWS = 0.8, 0.0, 20
MOST_MISSES = 3
"""Each interval may miss in one case of 20; four misses have a chance of 2 %."""


def models_of(candidate: Candidate, quick: bool) -> Sequence[str]:
    """The models that are looked at; one that observes shadow models sees none."""
    return MODEL_NAMES[:1] if quick else MODEL_NAMES


def shadows_of(candidate: Candidate, quick: bool) -> Sequence[str]:
    """Numbers of shadow models."""
    return [str(count) for count in (SHADOWS[-1:] if quick else SHADOWS)]


def made_observations(leak: float, num_models: int, seed: int = 0) -> Observations:
    """Of 60 requests of three examples each.

    Args:
        leak: How much more a model says of an example that it was trained on.
        num_models: Shadow models, an even number.
        seed: Root of all draws.
    """
    draws = np.random.default_rng([num_models, seed])
    order_RK = draws.random((60, num_models)).argsort(axis=1)
    member_KN = np.repeat(order_RK < num_models // 2, 3, axis=0).T
    shape = member_KN.shape
    value_KN = draws.normal(-6, 1, shape[1]) + draws.normal(0, 0.3, shape) + leak * member_KN
    value_KZ = draws.normal(-6, 1, 400) + draws.normal(0, 0.3, (num_models, 400))
    request_N = np.repeat(np.arange(60), 3)
    return Observations(value_KN, value_KN, member_KN, request_N, value_KZ, value_KZ, seed)


def finds_a_leak_and_only_where_there_is_one(candidate: Candidate, shadows: str) -> None:
    """The interval of the area under the curve tells a leak from none."""
    num_models = int(shadows)
    found = _figures(candidate, made_observations(LEAK, num_models))
    if not {"auc_low", "auc_high"} <= found.keys():
        raise NotApplicableError("it reports no interval 'auc_low' to 'auc_high'")
    expect(
        found["auc_low"] > 0.6,
        f"a plain leak gave auc_low {found['auc_low']:.3f}, expected more than 0.6",
    )
    unleaked = [
        _figures(candidate, made_observations(NO_LEAK, num_models, seed))
        for seed in range(NUM_DRAWS)
    ]
    hits = sum(each["auc_low"] < 0.5 < each["auc_high"] for each in unleaked)
    expect(
        hits >= NUM_DRAWS - MOST_MISSES,
        f"without a leak 0.5 was inside the interval in {hits} of {NUM_DRAWS} draws, expected "
        f"{NUM_DRAWS - MOST_MISSES} or more",
    )


def is_a_function_of_observations(candidate: Candidate) -> None:
    """The same observations give the same findings, and are left alone."""
    _only(candidate, ObservationAudit)
    made = made_observations(0.3, 8)
    arrays = ("after_KN", "after_KZ", "member_KN", "request_N")
    before = {name: getattr(made, name).copy() for name in arrays}
    found = []
    for seed in (1, 2):
        shuffle_generators(seed)
        found.append(candidate.make().findings(made))
    check_findings(found[0])
    _expect_same(*found)
    edited = [name for name in arrays if not np.array_equal(before[name], getattr(made, name))]
    expect(not edited, f"it edited {', '.join(edited)} in place; work on a copy")


def numbers_of_requests_are_names_alone(candidate: Candidate) -> None:
    """Requests with other numbers give the same findings."""
    _only(candidate, ObservationAudit)
    made = made_observations(0.3, 8)
    renamed = dataclasses.replace(made, request_N=1000 - 7 * made.request_N)
    one, other = (
        [finding.value for finding in candidate.make().findings(each)] for each in (made, renamed)
    )
    expect(
        np.allclose(one, other, rtol=1e-6, atol=1e-12, equal_nan=True),
        f"requests with other numbers gave {other} instead of {one}: do not compute with them",
    )


def tells_of_marks_and_always_the_same(candidate: Candidate, model_name: str) -> None:
    """Findings by mark, the same whenever it is asked."""
    _only(candidate, ModelAudit)
    subjects = Subjects(model_name)
    found = []
    for seed in (1, 2):
        shuffle_generators(seed)
        found.append(candidate.make().findings(Subjects(model_name)))
    marks = set(found[0])
    expect(
        marks <= set(subjects.marks),
        f"it was asked for the marks {subjects.marks} and tells of {sorted(marks)}",
    )
    for findings in found[0].values():
        check_findings(findings)
    expect(
        not MODELS.get(model_name).learns or any(found[0].values()),
        "it found nothing at all in a model that learns by gradients",
    )
    expect(marks == set(found[1]), "asked twice, it tells of other marks")
    for mark in marks:
        _expect_same(found[0][mark], found[1][mark])


def check_findings(findings: Sequence[Finding]) -> None:
    """Names, values and counts can be stored.

    Raises:
        ContractError: One cannot.
    """
    names = [finding.name for finding in findings]
    expect(len(set(names)) == len(names), f"names of findings repeat: {', '.join(names)}")
    for finding in findings:
        name = finding.name
        expect(
            re.fullmatch(r"[a-z0-9_.]+", name) is not None,
            f"'{name}' is no name of a finding: letters a to z, digits, '_' and '.'",
        )
        expect(isinstance(finding.value, float), f"value of '{name}' must be a float")
        expect(
            isinstance(finding.n, int) and finding.n >= 0,
            f"n of '{name}' must count from 0, got {finding.n!r}",
        )
        expect(bool(finding.unit), f"'{name}' needs a unit")
        expect(finding.better in ("up", "down"), f"better of '{name}' must be 'up' or 'down'")


class Subjects:
    """A model after brief training; the retrained one has other first weights and fewer rows."""

    seed = 3
    marks = (2, 4)

    def __init__(self, model_name: str) -> None:
        self.model_name, self.data = model_name, planted(MODELS.get(model_name).task)
        self.task = TASKS.get(self.data.task)()
        self.rows = self.data.interactions.row[:40]
        self.cut = Cut(make_model(model_name, self.data).max_history, CPU)

    def original(self) -> Model:
        """The base model."""
        return trained(self.model_name)[0]

    def retrained(self, mark: int) -> Model:
        """A model of other weights, by mark."""
        model = make_model(self.model_name, self.data)
        model.reset(torch.Generator().manual_seed(mark))
        if not model.learns:
            model.load_state_dict(trained_weights(self.model_name))
        if model.has_edges:
            left = self.data.interactions.without(self.rows)
            model.set_edges(*training_edges(left, self.data.split, CPU))
        return model

    audited = retrained

    def queries(self, mark: int) -> dict[str, Queries]:
        """Test queries, and probes of those who ask."""
        left = self.data.interactions.without(self.rows)
        users = np.unique(self.data.interactions.user[self.rows])
        return {
            "test": self.task.queries(left, self.data.split, Part.TEST, self.cut),
            "probe": self.task.probe(left, self.data.split, users, self.cut),
        }

    def forgotten(self, mark: int) -> Examples:
        """The training examples of the rows that are forgotten."""
        examples = examples_of(self.original(), self.data)
        gone = torch.isin(examples.rows, torch.from_numpy(self.rows))
        return examples.take(torch.nonzero(gone).flatten())

    def learn(self, model: Model, examples: Examples, step: int) -> float:
        """One step of plain descent."""
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


def _figures(candidate: Candidate, observed: Observations) -> dict[str, float]:
    _only(candidate, ObservationAudit)
    audit = candidate.make(shadows=len(observed.member_KN))
    return {finding.name: finding.value for finding in audit.findings(observed)}


def _only(candidate: Candidate, base: type) -> None:
    if not issubclass(candidate.cls, base):
        raise NotApplicableError(f"it is no {base.__name__}")


def _expect_same(one: Sequence[Finding], other: Sequence[Finding]) -> None:
    expect(
        [repr(finding) for finding in one] == [repr(finding) for finding in other],
        f"asked twice, it found {list(one)} and {list(other)}: draw from the seed that it is given",
    )


CHECKS: tuple[Check, ...] = (
    *SAYING,
    Check(
        "finds a leak",
        "The interval of the area under the curve tells a leak from none.",
        finds_a_leak_and_only_where_there_is_one,
        shadows_of,
    ),
    Check(
        "is a function of observations",
        "The same observations give the same findings, and are left alone.",
        is_a_function_of_observations,
    ),
    Check(
        "request numbers are names",
        "Requests with other numbers give the same findings.",
        numbers_of_requests_are_names_alone,
    ),
    Check(
        "tells of marks",
        "Findings by mark, the same whenever it is asked.",
        tells_of_marks_and_always_the_same,
        models_of,
    ),
)
