"""Train a new model without what is to be forgotten."""

from typing import ClassVar

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._request import Request
from erase_ray.models import Model


@METHODS.register
class Retrain(Method):
    """The model that forgetting is measured against: same seed, without the forgotten rows.

    Paper: none; the definition of exact unlearning.
    Differs from it: the order of the remaining examples, their negatives and the initial weights
    are those of the base model, so a difference between the two comes from the data alone. The
    public reference draws from one global stream, in which a deleted row shifts all later draws.
    Cost of a request: a whole training run, whatever the size of the forget set.
    """

    version: ClassVar[int] = 1
    needs_base: ClassVar[bool] = False
    per_mark: ClassVar[bool] = True
    serves_baselines: ClassVar[bool] = True

    def forget(self, model: Model, request: Request) -> Outcome:
        """Replace the weights of ``model`` by those of a model trained without the rows."""
        request.train_from_scratch(model)
        return Outcome("applied")
