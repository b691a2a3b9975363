"""What every method must do, on every model."""

import pytest

from erase_ray.contract import Candidate, NotApplicableError, checks_of
from erase_ray.contract.methods import COUNTING, forgets_without_ruining_the_rest
from erase_ray.contract.methods import LEARNING as TWO_A_TASK
from erase_ray.methods import METHODS
from erase_ray.models import MODELS

LEARNING = [name for name in MODELS.names() if MODELS.get(name).learns]
"""All models but the baselines."""
LEARNED = [name for name in METHODS.names() if METHODS.get(name).serves_learning]
IN_CHAIN = [name for name in LEARNED if METHODS.get(name).needs_base]
FORGETTING = [name for name in IN_CHAIN if name not in ("none", "finetune")]
"""All but the points of reference that leave forgetting to chance."""
ONE_REQUEST = [name for name in LEARNED if name in IN_CHAIN or METHODS.get(name).per_mark]
"""Methods that can be shown one request at once; those with models of their own train them
first, which takes long: one model is enough for these."""
ON_ITS_OWN = [
    check
    for check in checks_of("method")
    if check.cases(Candidate("method", "none"), True) == ("",)
]
ON_MODELS = [check for check in checks_of("method") if check not in ON_ITS_OWN]


@pytest.mark.parametrize("check", ON_ITS_OWN, ids=str)
@pytest.mark.parametrize("name", METHODS.names())
def test_method(name, check):
    check.run(Candidate("method", name))


SLOW = ("leaves the world alone", "leaves no trace unless applied")
"""They serve further requests, for which two models of each task are enough."""


def pairs() -> list[tuple[str, str]]:
    found = [(name, model) for model in LEARNING for name in ONE_REQUEST]
    found += [(name, "bpr") for name in LEARNED if name not in ONE_REQUEST]
    others = [name for name in METHODS.names() if name not in LEARNED]
    return found + [(name, model) for model in COUNTING for name in others]


CASES = [
    (name, model, check)
    for name, model in pairs()
    for check in ON_MODELS
    if check.name not in SLOW or model in (*TWO_A_TASK, *COUNTING)
]


@pytest.mark.parametrize(("name", "model", "check"), CASES, ids=str)
def test_method_on_model(name, model, check):
    try:
        check.on(Candidate("method", name), model)
    except NotApplicableError:
        if check.rule is forgets_without_ruining_the_rest:
            assert name not in FORGETTING
        else:
            assert name not in IN_CHAIN
