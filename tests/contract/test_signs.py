"""Each method forgets in the right direction, not too far, and at nobody else's expense."""

import pytest

from tests.contract.one_request import METHOD_NAMES, trained

MODEL_NAMES = ("bpr", "lightgcn", "gru4rec", "sets2sets")
NOT_FORGETTING = {("sets2sets", "kookmin")}
"""There its repair lowers the forgotten loss by more than its resets raise it (docs/methods.md)."""


@pytest.mark.parametrize("method_name", METHOD_NAMES)
@pytest.mark.parametrize("model_name", MODEL_NAMES)
def test_forgotten_loss_rises_toward_the_retrained_one(model_name, method_name):
    case = trained(model_name)
    found, whole = case.serve(method_name), case.retrained_rise()
    assert found.statuses == {"applied"}
    assert whole > 0.2
    assert found.others < 1.15
    assert found.rise < 2 * whole
    if (model_name, method_name) not in NOT_FORGETTING:
        assert found.rise > 0
