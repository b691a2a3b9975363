"""What every method must do, on every model."""

import math
from collections.abc import Sequence
from typing import get_args

import torch

from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, NotApplicableError, expect
from erase_ray.contract._requests import Scene, mean_loss, serve, serve_in, served
from erase_ray.contract._saying import SAYING
from erase_ray.contract.planted import same_state, sensitive_rows, set_edges
from erase_ray.data.split import Part
from erase_ray.methods import Deadline
from erase_ray.methods._base import Status
from erase_ray.models import Model
from erase_ray.report.families import Family

LEARNING = ("bpr", "lightgcn", "gru4rec", "sasrec", "sets2sets", "dnntsp")
"""Two models of each task."""
COUNTING = ("pop", "itemknn", "pop_session", "sknn", "pop_basket", "top_personal")
"""The same, for methods that serve baselines alone."""
LEFT_TO_CHANCE = ("none", "finetune")
"""Points of reference that do not aim at forgetting."""
MOST_HARM = 1.05
"""The loss of other people's examples may become this many times as high."""


def models_of(candidate: Candidate, quick: bool) -> Sequence[str]:
    """The models that a method is tried on: two a task, or one."""
    chosen = LEARNING if candidate.cls.serves_learning else COUNTING
    return chosen[::2] if quick else chosen


def names_a_family(candidate: Candidate) -> None:
    """A class attribute ``family``, if there is one, is a family of the report."""
    family = getattr(candidate.cls, "family", "")
    known = get_args(Family)
    expect(
        not family or family in known,
        f"family must be one of {', '.join(known)}, or be left out; got '{family}'",
    )


def changes_only_what_it_says(candidate: Candidate, model_name: str) -> None:
    """The weights that :meth:`changes` names move, and no others."""
    seen = served(candidate, model_name)
    outcome = seen.outcome
    expect(
        outcome.status == "applied",
        "a usual request of one person must be applied, got status "
        f"'{outcome.status}' with the reason '{outcome.reason}'",
    )
    for name, value in seen.scene.model.named_parameters():
        expect(bool(torch.isfinite(value).all()), f"weights of {name} are not finite")
        expect(value.requires_grad, f"{name} does not require gradients any more; put that back")
        expect(
            name in seen.allowed or torch.equal(value, seen.before[name]),
            f"{name} changed, and changes() does not name it; name it there or leave it alone",
        )
    moved = _distance(seen.before, seen.after, _parameters(seen.scene.model))
    expect(
        moved <= seen.step_norm * (1 + 1e-4) + 1e-12,
        f"weights moved by {moved:g}, and request.undo knows of {seen.step_norm:g}: call "
        "request.undo.keep before each change, or leave keeps_track False",
    )
    expect(
        seen.step_norm > 0 or not _parameters(seen.scene.model) & seen.allowed,
        "status 'applied' and no weight moved; return 'skipped' with a reason instead, or edit "
        "the weights in place",
    )


def says_what_happened(candidate: Candidate, model_name: str) -> None:
    """The outcome can be stored."""
    outcome = served(candidate, model_name).outcome
    known = get_args(Status)
    expect(outcome.status in known, f"status must be one of {', '.join(known)}")
    expect(bool(outcome.reason) or outcome.status == "applied", "an outcome needs a reason")
    for what in ("num_gradients", "num_hvps"):
        count = getattr(outcome, what)
        expect(isinstance(count, int) and count >= 0, f"{what} must count from 0, got {count!r}")
    for name, value in outcome.details.items():
        expect(
            isinstance(name, str) and isinstance(value, float) and math.isfinite(value),
            f"details are finite floats by name, got {name!r}: {value!r}; use float(...)",
        )


def is_a_function_of_model_request_and_seed(candidate: Candidate, model_name: str) -> None:
    """The same again gives the same bits, whatever the global generators do."""
    one, other = served(candidate, model_name), serve(candidate, model_name, shuffled=2)
    expect(
        same_state(one.after, other.after),
        "the same model, request and seed gave other weights: draw from request.generator (or "
        "erase_ray.seeds) and never from torch's, NumPy's or Python's global generator",
    )
    expect(one.outcome.status == other.outcome.status, "the same request had another status")


def leaves_the_world_alone(candidate: Candidate, model_name: str) -> None:
    """Data, examples and remembered state are not edited in place, over two requests."""
    first = served(candidate, model_name)
    expect(not first.edited, f"edited in place: {', '.join(first.edited)}; work on a copy")
    if first.scene.method.per_mark:
        return  # no second request follows
    scene = Scene.of(candidate, model_name)
    scene.model.load_state_dict(first.after)
    set_edges(scene.model, scene.data)
    if scene.model.has_edges:
        scene.model.drop_edges(*first.request.edges)
    scene.state = dict(first.scene.state)
    rows = sensitive_rows(scene.data, 1)
    second = serve_in(scene, scene.request(rows, forgotten=first.request.spec.rows))
    expect(not second.edited, f"edited in place: {', '.join(second.edited)}; replace tensors")
    expect(
        all(bool(torch.isfinite(value).all()) for value in scene.model.parameters()),
        "weights are not finite after the second request",
    )


def leaves_no_trace_unless_applied(candidate: Candidate, model_name: str) -> None:
    """When time is over before it begins, the weights are as they were."""
    if candidate.cls.per_mark:
        raise NotApplicableError("requests of a mark have no limit of time")
    scene = Scene.of(candidate, model_name)
    remembered = dict(scene.state)
    request = scene.request(sensitive_rows(scene.data), deadline=Deadline(0.0))
    seen = serve_in(scene, request)
    if seen.outcome.status == "applied":
        return  # it needs no more time than there was
    expect(bool(seen.outcome.reason), f"status '{seen.outcome.status}' needs a reason")
    expect(
        same_state(seen.before, seen.after),
        f"status '{seen.outcome.status}' and weights or buffers changed that request.undo does "
        "not know of: call request.undo.keep before each change, or leave keeps_track False",
    )
    expect(
        list(request.state) == list(remembered)
        and all(request.state[name] is old for name, old in remembered.items()),
        f"status '{seen.outcome.status}' and the remembered state changed",
    )


def nothing_to_forget_leaves_the_model_alone(candidate: Candidate, model_name: str) -> None:
    """Rows that no training example contains end in the status ``empty``."""
    if not candidate.cls.needs_base:
        raise NotApplicableError("it trains models of its own")
    scene = Scene.of(candidate, model_name)
    table = scene.data.interactions
    test_rows = table.row[scene.data.split.select(table, Part.TEST)]
    seen = serve_in(scene, scene.request(test_rows[:1]))
    expect(
        seen.outcome.status == "empty",
        "where no training example is concerned (len(request.forget) is 0) the outcome must be "
        f"Outcome('empty', reason), got '{seen.outcome.status}'",
    )
    expect(bool(seen.outcome.reason), "status 'empty' needs a reason")
    expect(seen.step_norm == 0, f"status 'empty' and a step of {seen.step_norm:g}")
    expect(same_state(seen.before, seen.after), "status 'empty' and the weights changed")


def forgets_without_ruining_the_rest(candidate: Candidate, model_name: str) -> None:
    """The forgotten examples lose against other people's, whose loss rises by 5 % at most.

    The base model is not converged, so a method that goes on training lowers both.
    """
    cls = candidate.cls
    if not cls.needs_base or not cls.serves_learning:
        raise NotApplicableError("it does not edit the weights of a base model")
    is_reference = getattr(cls, "family", "") == "reference" or candidate.name in LEFT_TO_CHANCE
    if is_reference:
        raise NotApplicableError("a point of reference need not forget")
    seen = served(candidate, model_name)
    forget, others = seen.request.forget, seen.request.retain(500)
    scene = Scene.of(candidate, model_name)
    before = mean_loss(scene.model, forget), mean_loss(scene.model, others)
    scene.model.load_state_dict(seen.after)
    if scene.model.has_edges:
        scene.model.drop_edges(*seen.request.edges)
    after = mean_loss(scene.model, forget), mean_loss(scene.model, others)
    told = f"from {before[0]:.4f} to {after[0]:.4f}, others' from {before[1]:.4f} to {after[1]:.4f}"
    expect(
        after[0] - before[0] > after[1] - before[1],
        f"the loss of the forgotten examples went {told}: theirs must rise by more",
    )
    expect(
        after[1] < before[1] * MOST_HARM,
        f"the loss of the forgotten examples went {told}: others' may rise by "
        f"{MOST_HARM - 1:.0%} at most; take smaller steps",
    )


def _parameters(model: Model) -> set[str]:
    return {name for name, _ in model.named_parameters()}


def _distance(
    one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], names: set[str]
) -> float:
    squares = [float((one[n] - other[n]).double().square().sum()) for n in one if n in names]
    return math.sqrt(math.fsum(squares))


CHECKS: tuple[Check, ...] = (
    *SAYING,
    Check("names a family", "Its family, if it has one, is one of the report.", names_a_family),
    Check(
        "changes only what it says",
        "A request is applied, and only parameters that changes() names move.",
        changes_only_what_it_says,
        models_of,
    ),
    Check(
        "says what happened",
        "Status, reason, counts and details of the outcome can be stored.",
        says_what_happened,
        models_of,
    ),
    Check(
        "is repeatable",
        "Model, request and seed decide every bit, and no global generator does.",
        is_a_function_of_model_request_and_seed,
        models_of,
    ),
    Check(
        "leaves the world alone",
        "Data, examples and remembered state are not edited in place.",
        leaves_the_world_alone,
        models_of,
    ),
    Check(
        "leaves no trace unless applied",
        "Any other outcome than 'applied' leaves weights, buffers and state as they were.",
        leaves_no_trace_unless_applied,
        models_of,
    ),
    Check(
        "nothing to forget changes nothing",
        "A request without training examples is 'empty'.",
        nothing_to_forget_leaves_the_model_alone,
        models_of,
    ),
    Check(
        "forgets without ruining the rest",
        "The loss of forgotten examples rises against others', whose rises by 5 % at most.",
        forgets_without_ruining_the_rest,
        models_of,
    ),
)
