"""Run the checks of a part and keep what came of each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from erase_ray.contract import audits, datasets, methods, metrics, models, scenarios
from erase_ray.contract._candidate import KINDS, Candidate
from erase_ray.contract._check import Check, ContractError, NotApplicableError
from erase_ray.contract.planted import generators_kept
from erase_ray.errors import UnknownNameError
from erase_ray.registry import known_names

Result = Literal["ok", "failed", "skipped"]

_CHECKS = {
    "dataset": datasets.CHECKS,
    "model": models.CHECKS,
    "method": methods.CHECKS,
    "scenario": scenarios.CHECKS,
    "metric": metrics.CHECKS,
    "audit": audits.CHECKS,
}


@dataclass(frozen=True)
class Verdict:
    """What came of a check.

    Args:
        kind: Of the part.
        name: Of the part.
        check: Name of the check.
        holds: What had to hold.
        result: ``skipped`` where there was nothing to look at.
        reason: What did not hold, or why it was skipped; empty if all is well.
        seconds: That it took.
    """

    kind: str
    name: str
    check: str
    holds: str
    result: Result
    reason: str
    seconds: float


def checks_of(kind: str) -> list[Check]:
    """All checks of a kind of part: ``dataset``, ``model``, ``method``, ``scenario``, ``metric``
    or ``audit``.

    Raises:
        UnknownNameError: There is no such kind.
    """
    if kind not in _CHECKS:
        raise UnknownNameError(f"no kind is called '{kind}'.{known_names(kind, list(KINDS))}")
    return list(_CHECKS[kind])


def verdicts(candidate: Candidate, quick: bool = False) -> Iterator[Verdict]:
    """Run all checks of a part, one after the other.

    The global generators are as before afterwards.

    Args:
        candidate: The part.
        quick: Try one model of a task instead of two, and one task instead of three.

    Raises:
        UnknownNameError: There is no such part.
        OutsidePartError: The package that offers it is broken.
    """
    assert candidate.cls
    for check in checks_of(candidate.kind):
        began = time.perf_counter()
        result, reason = _tried(check, candidate, quick)
        seconds = time.perf_counter() - began
        yield Verdict(
            candidate.kind, candidate.name, check.name, check.holds, result, reason, seconds
        )


def check(
    kind: str, name: str, settings: dict[str, Any] | None = None, quick: bool = False
) -> None:
    """Check a part, as a test does.

    Args:
        kind: What it is, such as ``method``.
        name: What it is called.
        settings: What differs from its defaults.
        quick: See :func:`verdicts`.

    Raises:
        ContractError: With all that does not hold.
        UnknownNameError: There is no such kind or part.
        OutsidePartError: The package that offers it is broken.
    """
    checks_of(kind)
    found = verdicts(Candidate(kind, name, settings or {}), quick)
    faults = [f"{one.check}: {one.reason}" for one in found if one.result == "failed"]
    if faults:
        raise ContractError("\n".join(faults))


def _tried(check: Check, candidate: Candidate, quick: bool) -> tuple[Result, str]:
    with generators_kept():
        try:
            check.run(candidate, quick)
        except NotApplicableError as reason:
            return "skipped", str(reason)
        except ContractError as error:
            return "failed", str(error)
    return "ok", ""
