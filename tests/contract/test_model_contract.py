"""What every model must do."""

import pytest

from erase_ray.contract import Candidate, NotApplicableError, checks_of
from erase_ray.models import MODELS


@pytest.mark.parametrize("check", checks_of("model"), ids=str)
@pytest.mark.parametrize("name", MODELS.names())
def test_model(name, check):
    try:
        check.run(Candidate("model", name))
    except NotApplicableError:
        assert check.name == "edges come and go"
        assert not MODELS.get(name).has_edges
