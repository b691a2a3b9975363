"""Going up on one loss to a given height, while other losses stay where they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from erase_ray import pulse
from erase_ray.methods._curvature import Weighted, gradient_sum
from erase_ray.methods._rise import FLOOR
from erase_ray.methods._subspace import Subspace
from erase_ray.methods._unseen import mean_loss
from erase_ray.models import Model

MOST_HALVINGS = 8
SLACK = 0.1
"""Share of the whole way by which a step may end below or above the height."""


@dataclass(frozen=True, eq=False)
class Check:
    """A mean loss that may rise a little.

    Args:
        batches: Mini-batches whose weighted sum it is; at least one.
        max_rise: Share by which it may rise in all steps together.
    """

    batches: list[Weighted]
    max_rise: float


@dataclass(frozen=True, eq=False)
class Way:
    """Where to go.

    Args:
        up: Gradient of what to ascend on, shape ``(P,)``, at the weights as they are.
        watched: Mini-batches of the mean loss that the height is measured on.
        guarded: The same of losses along whose rise no step goes.
        checks: Losses that are looked at after each step, best of other examples than the former.
    """

    up: Callable[[], Tensor]
    watched: list[Weighted]
    guarded: list[list[Weighted]]
    checks: list[Check]

    def batches(self) -> list[Any]:
        """All mini-batches but those of ``up``."""
        lists = [self.watched, *self.guarded, *(check.batches for check in self.checks)]
        return [one.batch for batches in lists for one in batches]


@dataclass(frozen=True)
class Limits:
    """How far to go.

    Args:
        height: Loss of what is watched at which to stop.
        max_steps: Most steps.
        max_norm: Longest step, as a Euclidean norm.
        give_up: Asked before each step; True ends it all.
    """

    height: float
    max_steps: int
    max_norm: float
    give_up: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Climbed:
    """How it ended.

    Args:
        end: At the height; where a checked loss would rise; where there is no slope; after the
            most steps; or when told to give up.
        before: The watched loss at the start.
        after: The same at the end.
        num_steps: Steps taken.
        num_tries: Calls of ``Way.up``.
        num_gradients: Gradients of mini-batches, other than those of ``Way.up``.
        num_halvings: Of all steps together.
        rises: Share by which each checked loss rose.
    """

    end: Literal["height", "checks", "flat", "max_steps", "timed_out"]
    before: float
    after: float
    num_steps: int
    num_tries: int
    num_gradients: int
    num_halvings: int
    rises: list[float]


def climb(model: Model, space: Subspace, way: Way, limits: Limits) -> Climbed:
    """Move ``space`` along ``way.up``, less what would raise the guarded losses at once.

    From the direction the parts along the gradients of the guarded losses are taken out where
    they point up (Chaudhry et al.: "Efficient Lifelong Learning with A-GEM", ICLR 2019). The
    length of a step is Polyak's: the rest of the way over the slope of the watched loss in that
    direction. A step is halved until it ends at most a little above the height and no checked
    loss is above its limit.

    Args:
        model: In the state of :func:`erase_ray.methods._curvature.smooth`.
        space: What is moved; made for all batches of ``way``.
        way: The losses.
        limits: When to stop.
    """
    return _Climber(model, space, way, limits).run()


class _Climber:
    def __init__(self, model: Model, space: Subspace, way: Way, limits: Limits) -> None:
        self._model, self._space, self._way, self._limits = model, space, way, limits
        self._before = self._loss = mean_loss(model, way.watched)
        self._slack = SLACK * abs(limits.height - self._before)
        self._checked = [mean_loss(model, check.batches) for check in way.checks]
        self._rises = [0.0 for _ in way.checks]
        self._num_steps = self._num_tries = self._num_gradients = self._num_halvings = 0

    def run(self) -> Climbed:
        end = "height"
        while self._loss < self._limits.height - self._slack:
            pulse.beat()
            if self._limits.give_up():
                end = "timed_out"
            elif self._num_steps == self._limits.max_steps:
                end = "max_steps"
            else:
                end = self._step()
            if end != "height":
                break
        counts = (self._num_steps, self._num_tries, self._num_gradients, self._num_halvings)
        return Climbed(end, self._before, self._loss, *counts, self._rises)

    def _step(self) -> Literal["height", "checks", "flat"]:
        """One step; ``height`` if it was taken, else why not."""
        direction, slope = self._direction()
        norm = float(direction.norm())
        if not 0 < slope < float("inf"):
            return "flat"
        rest = self._limits.height - self._loss
        factor = min(rest / slope, self._limits.max_norm / norm)
        self._space.add(direction, factor)
        for _ in range(MOST_HALVINGS):
            loss = mean_loss(self._model, self._way.watched)
            if self._is_fine(loss):
                self._loss = loss
                self._num_steps += 1
                return "height"
            self._space.add(direction, -factor / 2)
            self._num_halvings += 1
            factor /= 2
        self._space.add(direction, -factor)
        return "checks"

    def _direction(self) -> tuple[Tensor, float]:
        """Where to go, shape ``(P,)``, and how steeply the watched loss rises there."""
        self._num_tries += 1
        direction, watched = self._way.up(), self._gradient(self._way.watched)
        for guarded in self._way.guarded:
            direction = _without_rise(direction, self._gradient(guarded))
        return direction, float(torch.dot(direction, watched))

    def _gradient(self, batches: list[Weighted]) -> Tensor:
        self._num_gradients += len(batches)
        return gradient_sum(self._model, self._space.leaves, batches)

    def _is_fine(self, loss: float) -> bool:
        if not loss <= self._limits.height + self._slack:
            return False
        rises = []
        for check, before in zip(self._way.checks, self._checked, strict=True):
            after = mean_loss(self._model, check.batches)
            rises.append((after - before) / max(abs(before), FLOOR))
            if not rises[-1] <= check.max_rise:
                return False
        self._rises = rises
        return True


def _without_rise(direction: Tensor, gradient: Tensor) -> Tensor:
    """The part of a direction along which a loss with this gradient does not rise."""
    rise, square = torch.stack([torch.dot(direction, gradient), torch.dot(gradient, gradient)])
    share = torch.where(square > 0, rise.clamp(min=0) / square, 0.0)
    return direction - share * gradient
