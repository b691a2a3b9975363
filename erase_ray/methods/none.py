"""Do nothing at all."""

from typing import ClassVar

from torch import nn

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._request import Request
from erase_ray.models import Model


@METHODS.register
class NoUnlearning(Method):
    """Leave the weights as they are: what every table is read against.

    What is forgotten still leaves histories, masks and the graph, as for any other method, since
    the chain sees to that; so the row shows how much of forgetting needs no change of weights.

    Paper: none; a reference point.
    Differs from it: -
    Cost of a request: nothing.
    """

    version: ClassVar[int] = 1
    keeps_track: ClassVar[bool] = True
    serves_baselines: ClassVar[bool] = True

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """No parameter."""
        return {}

    def forget(self, model: Model, request: Request) -> Outcome:
        """Do nothing, and say so."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        return Outcome("applied", "no weight was changed, as this method promises")
