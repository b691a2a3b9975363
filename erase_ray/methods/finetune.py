"""Go on training on what is left."""

from typing import ClassVar

from pydantic import Field

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._repair import Descent, Pool, batches_of, learning, plan
from erase_ray.methods._request import Request
from erase_ray.methods._subspace import subspace
from erase_ray.models import Model
from erase_ray.settings import Frozen


@METHODS.register
class Finetune(Method):
    """A few passes of Adam over what the person keeps and a sample of other people's examples.

    What is no longer rehearsed fades, sooner or later; nothing pushes it away.

    Paper: Golatkar, Achille, Soatto: "Eternal Sunshine of the Spotless Net: Selective Forgetting
    in Deep Networks", CVPR 2020, has it as a baseline; catastrophic forgetting is what it relies
    on.
    Differs from it: a sample of what is left instead of all of it, drawn anew for each request,
    and always with the person's own examples.
    Cost of a request: ``num_epochs`` passes over the person's examples and the sample, however
    little there is to forget.
    """

    version: ClassVar[int] = 1
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `Finetune`."""

        num_epochs: int = Field(default=4, ge=1)
        """Passes."""
        learning_rate: float = Field(default=1e-3, gt=0)
        """Adam's step size."""
        batch_size: int = Field(default=256, ge=1)
        """Examples of a step."""
        retain_factor: int = Field(default=32, ge=0)
        """Other people's examples, for each example to forget."""
        min_retain: int = Field(default=512, ge=0)
        """Other people's examples, at least."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Train on in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        settings = self.settings
        num_retain = max(settings.min_retain, settings.retain_factor * len(request.forget))
        pools = [Pool(request.kept), Pool(request.retain(num_retain))]
        steps = plan(pools, settings.batch_size, request.seed, settings.num_epochs)
        if not steps:
            return Outcome("skipped", "nobody has an example left to train on")
        with (
            without_edges(model, request),
            subspace(model, self.changes(model), batches_of(steps), request.undo) as space,
            learning(model, request.seed, request.device),
        ):
            descent = Descent(model, space, settings.learning_rate)
            in_time = descent.run(steps, request.deadline)
        if not in_time:
            limit, done = request.deadline.limit_s, descent.num_steps
            return Outcome("timed_out", f"{limit:g} s were over after {done} steps", done)
        num_kept, num_retain = (float(len(pool.examples)) for pool in pools)
        details = {"num_kept": num_kept, "num_retain": num_retain}
        return Outcome("applied", num_gradients=descent.num_steps, details=details)
