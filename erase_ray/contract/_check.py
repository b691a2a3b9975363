"""One thing that a part must do, and what it means to do it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from erase_ray.contract._candidate import Candidate
from erase_ray.errors import EraseError


class ContractError(EraseError, AssertionError):
    """A part that does not do what its kind promises; the text says what to do about it."""


class NotApplicableError(EraseError):
    """A check that has nothing to look at in this part; the text says why."""


def expect(holds: bool, text: str) -> None:
    """Raise unless ``holds``.

    Args:
        holds: What must be so.
        text: What was expected, what came and what to do.

    Raises:
        ContractError: It is not so.
    """
    if not holds:
        raise ContractError(text)


def _once(candidate: Candidate, quick: bool) -> Sequence[str]:
    return ("",)


@dataclass(frozen=True, eq=False)
class Check:
    """One check of the contract of a kind.

    Args:
        name: What is checked, in a few words.
        holds: What must hold, as a sentence.
        rule: Raises where it does not hold; is given the part, and a case where there are any.
        cases: What the rule is tried on, such as models of every task; fewer if asked to be quick.
    """

    name: str
    holds: str
    rule: Callable[..., None]
    cases: Callable[[Candidate, bool], Sequence[str]] = _once

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def run(self, candidate: Candidate, quick: bool = False) -> None:
        """Try the rule on all cases.

        Raises:
            ContractError: It does not hold, or the part fails in another way.
            NotApplicableError: There is nothing to look at.
        """
        for case in self.cases(candidate, quick):
            self.on(candidate, case)

    def on(self, candidate: Candidate, case: str = "") -> None:
        """Try the rule on one case.

        Raises:
            ContractError: It does not hold, or the part fails in another way.
            NotApplicableError: There is nothing to look at.
        """
        where = f"{candidate.kind} '{candidate.name}'{f' on {case}' if case else ''}"
        try:
            self.rule(candidate, case) if case else self.rule(candidate)
        except NotApplicableError:
            raise
        except ContractError as error:
            raise ContractError(f"{where}: {error}") from error
        except Exception as error:  # whatever the part does
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ContractError(
                f"{where}: it failed while '{self.name}' was checked: {reason}"
            ) from error
