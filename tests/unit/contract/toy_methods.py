"""Methods that keep or break the contract."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from erase_ray.methods import Method, Outcome
from erase_ray.settings import Frozen

NOTHING = Outcome("empty", "nothing to forget")


class Blur(Method):
    """Noise on the head of the model.

    Paper: none.
    """

    class Settings(Frozen):
        """Settings of `Blur`."""

        scale: float = Field(default=0.25, gt=0)
        """Standard deviation of the noise."""

    def changes(self, model):
        return model.head_parameters()

    def forget(self, model, request):
        if not len(request.forget):
            return NOTHING
        with torch.no_grad():
            for weight in self.changes(model).values():
                weight += self.settings.scale * self.noise(weight, request)
        return Outcome("applied")

    def noise(self, weight, request):
        return torch.randn(weight.shape, generator=request.generator)


class Careless(Blur):
    """Draws from the global generator.

    Paper: none.
    """

    def noise(self, weight, request):
        return torch.randn(weight.shape)


class Elsewhere(Blur):
    """Changes what it does not name.

    Paper: none.
    """

    def forget(self, model, request):
        outcome = super().forget(model, request)
        if outcome.status == "applied":
            with torch.no_grad():
                next(iter(model.item_tables().values())).add_(1)
        return outcome


class Silent(Blur):
    """Keeps track, and tells request.undo nothing.

    Paper: none.
    """

    keeps_track: ClassVar[bool] = True

    def forget(self, model, request):
        outcome = super().forget(model, request)
        late = request.deadline.passed() and outcome.status == "applied"
        return Outcome("timed_out", "too late") if late else outcome


class Editing(Blur):
    """Edits the data.

    Paper: none.
    """

    def forget(self, model, request):
        request.world.examples.users.add_(0)
        return super().forget(model, request)


class Always(Blur):
    """Applies even where there is nothing.

    Paper: none.
    """

    def forget(self, model, request):
        return Outcome("applied", details={"numbers": np.float64("nan")})


class Vague(Blur):
    """Has a setting without a word."""

    class Settings(Frozen):
        """Settings of `Vague`."""

        scale: float = 1.0


class Named(Blur):
    """Has a setting whose name is taken.

    Paper: none.
    """

    class Settings(Frozen):
        """Settings of `Named`."""

        edition: str = "own"
        """Which one."""


class Lax(Blur):
    """Takes any setting, and belongs nowhere.

    Paper: none.
    """

    family: ClassVar[str] = "best"

    class Settings(Frozen, extra="ignore"):
        """Settings of `Lax`."""

        scale: float = 1.0
        """Standard deviation of the noise."""
