"""What every audit must do."""

import pytest

from erase_ray.audits import AUDITS, ModelAudit, ObservationAudit
from erase_ray.contract import Candidate, NotApplicableError, checks_of

NAMES = [name for name in AUDITS.names() if AUDITS.get(name).__module__.startswith("erase_ray.")]
QUICK = {"relearning": {"max_steps": 3}}
OF_MODELS = ("tells of marks",)
OF_OBSERVATIONS = (
    "finds a leak",
    "is a function of observations",
    "request numbers are names",
)
CASES = [
    (check, case)
    for check in checks_of("audit")
    for case in check.cases(Candidate("audit", "similarity"), False)
]


@pytest.mark.parametrize(("check", "case"), CASES)
@pytest.mark.parametrize("name", NAMES)
def test_audit(name, check, case):
    kind = AUDITS.get(name)
    assert issubclass(kind, (ObservationAudit, ModelAudit))
    try:
        check.on(Candidate("audit", name, QUICK.get(name, {})), case)
    except NotApplicableError:
        base = ModelAudit if check.name in OF_MODELS else ObservationAudit
        assert check.name in (*OF_MODELS, *OF_OBSERVATIONS)
        assert not issubclass(kind, base)
