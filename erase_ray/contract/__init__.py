"""What every part must do, as checks that an outside package can run.

``check("method", "fade")`` runs all of them and raises with what does not hold; tests of a package
need no more.
"""

from erase_ray.contract._candidate import KINDS, Candidate
from erase_ray.contract._check import Check, ContractError, NotApplicableError
from erase_ray.contract._run import Verdict, check, checks_of, verdicts
from erase_ray.contract.find import find, parts_of

__all__ = [
    "KINDS",
    "Candidate",
    "Check",
    "ContractError",
    "NotApplicableError",
    "Verdict",
    "check",
    "checks_of",
    "find",
    "parts_of",
    "verdicts",
]
