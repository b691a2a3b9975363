"""Flatten the scores of the forgotten examples, then repair and contrast in turn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.split import Part
from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._climb import Check, Limits, Way, climb
from erase_ray.methods._curvature import Weighted, smooth
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._repair import Descent, Pool, Step, batches_of, learning, plan
from erase_ray.methods._request import Request
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.methods._unseen import gone, mean_loss, mean_of, unseen_gap
from erase_ray.models import Model
from erase_ray.models._narrow import Narrow
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples


@METHODS.register
class Fanchuan(Method):
    """Flatten the scores, then rounds of repair and of contrast between forgotten and others.

    First one step for each mini-batch of examples to forget down KL(uniform || softmax(scores)),
    over all items but those that the person keeps. Then ``num_rounds`` times a pass of Adam over
    the person's remaining examples and a sample of other people's, and a step down the mean over
    pairs of -log softmax_j(z_i . z_j / temperature), with z_i the representation of a forgotten
    example and z_j those of other people's and of cleaned ones, which stay as they are: it is
    lowest where a forgotten example is equally like all of them. Where that would lower the loss
    of the forgotten examples, the scores are flattened once more instead; and where even that
    would (an example known less than by chance), the step goes straight up that loss.

    A forgetting step is as long as it takes for the forgotten examples to become as little known
    as those never seen (see :mod:`erase_ray.methods._unseen`), never along the rise of the loss
    of what is left, and halved while that loss rises by more than ``max_rise``.

    Paper: none; winning entry (team fanchuan) of the NeurIPS 2023 Machine Unlearning Challenge;
    Triantafillou et al.: "Are we making progress in unlearning? Findings from the first NeurIPS
    unlearning competition", 2024.
    Differs from it: the entry forgets with stochastic gradient descent of fixed step size, tuned
    to one network and one request; one size does nothing to a model of this benchmark and ruins
    another. It ends with a repair, here the last is a (guarded) step of forgetting. The public
    reference trains the other side of the contrast too, takes the softmax of probabilities for
    one model, contrasts vectors before propagation for graph models, flattens all that a person
    ever did, and carries one optimiser from request to request, so that rows of earlier people
    drift; here each request has its own. Where a table of items is narrowed to the rows that the
    request reads, the scores are exact but flattening moves the other side alone.
    Cost of a request: ``num_rounds`` passes over the repair sample, and for each forgetting step
    four gradients and a few passes forward over forgotten and checked examples.
    """

    version: ClassVar[int] = 1
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `Fanchuan`."""

        num_rounds: int = Field(default=4, ge=0)
        """Rounds of repair and contrast."""
        temperature: float = Field(default=1.15, gt=0)
        """Divides the inner products in the contrast."""
        contrast_size: int = Field(default=64, ge=1)
        """Other people's examples that those to forget are contrasted with in a round."""
        learning_rate: float = Field(default=2e-4, gt=0)
        """Adam's step size in the repair."""
        batch_size: int = Field(default=256, ge=1)
        """Examples of a step."""
        retain_factor: int = Field(default=16, ge=0)
        """Other people's examples in the repair of a round, for each example to forget."""
        min_retain: int = Field(default=128, ge=0)
        """The same, at least."""
        min_rise: float = Field(default=0.05, ge=0)
        """Least rise of the loss of the forgotten examples to aim at, as a share of that loss."""
        max_norm: float = Field(default=1.0, gt=0)
        """Longest step of forgetting, as a Euclidean norm; longer ones are shortened."""
        max_rise: float = Field(default=0.02, gt=0)
        """Share by which each loss of what is left may rise in a step of forgetting."""
        num_check: int = Field(default=64, ge=1)
        """Other people's examples whose loss is checked, and as many more that steps of
        forgetting must not go against; also held-out ones for the height."""
        num_negatives: int = Field(default=4, ge=1)
        """Draws of negatives that those losses are averaged over, for tasks that draw any."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Flatten, repair and contrast in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        settings, material = self.settings, self._material(request)
        with smooth(model):
            loss = mean_loss(model, material.watched)
            gap = unseen_gap(model, request, settings.num_check, settings.num_negatives)
        height = loss + max(gap.rise, settings.min_rise * abs(loss))
        with (
            without_edges(model, request),
            subspace(model, self.changes(model), material.known(), request.undo) as space,
        ):
            rounds = Rounds(model, space, material, height, self.settings)
            in_time = rounds.run(request)
        if not in_time:
            limit, done = request.deadline.limit_s, rounds.num_steps
            reason = f"{limit:g} s were over after {done} steps"
            return Outcome("timed_out", reason, rounds.num_gradients)
        details = {"loss_trained": loss, "gap": gap.rise, "height": height} | rounds.details()
        details = {name: value for name, value in details.items() if math.isfinite(value)}
        return Outcome("applied", num_gradients=rounds.num_gradients, details=details)

    def _material(self, request: Request) -> "Material":
        settings, rounds = self.settings, range(self.settings.num_rounds)
        num_retain = max(settings.min_retain, settings.retain_factor * len(request.forget))
        most = max(num_retain, settings.contrast_size, 2 * settings.num_check)
        retain = request.retain(most)
        head = torch.arange(len(retain), device=request.device)
        pools = [Pool(request.kept), Pool(retain.take(head[:num_retain]))]
        repairs = plan(pools, settings.batch_size, request.seed, settings.num_rounds)
        halves = head[: 2 * settings.num_check].tensor_split(2)
        kept = self._mean(request.kept, request)
        guard, check = (self._mean(retain.take(half), request) for half in halves)
        return Material(
            forget=self._batches(request.forget, request),
            cleaned=self._batches(request.cleaned, request)[:1],
            others=[self._others(retain, request, number) for number in rounds],
            repairs=[[step for step in repairs if step.epoch == number] for number in rounds],
            watched=self._mean(gone(request), request),
            guarded=[each for each in (guard, kept) if each],
            checks=[Check(each, settings.max_rise) for each in (check, kept) if each],
            is_open_I=open_items(request),
        )

    def _others(self, retain: Examples, request: Request, number: int) -> list[Any]:
        """The mini-batch to contrast with in a round; none where there are no other people."""
        order = seeds.order(seeds.derive(request.seed, "contrast", number), retain.rows)
        chosen = order[: self.settings.contrast_size]
        return [retain.batch(chosen, request.seed)] if len(chosen) else []

    def _batches(self, examples: Examples, request: Request) -> list[Any]:
        everyone = torch.arange(len(examples), device=request.device)
        chunks = everyone.split(self.settings.batch_size) if len(examples) else ()
        return [examples.batch(chunk, request.seed) for chunk in chunks]

    def _mean(self, examples: Examples, request: Request) -> list[Weighted]:
        settings = self.settings
        return mean_of(examples, settings.batch_size, request.seed, settings.num_negatives)


@dataclass(frozen=True, eq=False)
class Material:
    """What the steps of a request look at.

    Args:
        forget: Mini-batches of the examples to forget.
        cleaned: The first mini-batch of what they become, or none.
        others: For each round the mini-batch of other people to contrast with, or none.
        repairs: Steps of the repair, by round.
        watched: Mini-batches of the mean loss that must get to the height.
        guarded: The same of the losses that no step of forgetting goes against.
        checks: Those that are looked at after such a step.
        is_open_I: Items over which scores are flattened, bool, shape ``(I,)``.
    """

    forget: list[Any]
    cleaned: list[Any]
    others: list[list[Any]]
    repairs: list[list[Step]]
    watched: list[Weighted]
    guarded: list[list[Weighted]]
    checks: list[Check]
    is_open_I: Tensor

    def known(self) -> list[Any]:
        """All mini-batches that will be evaluated."""
        repairs = [batch for steps in self.repairs for batch in batches_of(steps)]
        others = [batch for batches in self.others for batch in batches]
        return [*self.forget, *self.cleaned, *others, *repairs, *self.way(_nowhere).batches()]

    def way(self, up: Callable[[], Tensor]) -> Way:
        """Up a gradient, with what is watched, guarded and checked here."""
        return Way(up, self.watched, self.guarded, self.checks)


def _nowhere() -> Tensor:
    raise AssertionError("there is no direction before there is a subspace")


class Rounds:
    """The steps of one request.

    Args:
        model: Restricted to ``space``.
        space: What is moved; made for all of ``material``.
        material: What to look at.
        height: Loss of the examples to forget at which there is no more to forget.
        settings: Of the method.
    """

    def __init__(
        self,
        model: Model,
        space: Subspace,
        material: Material,
        height: float,
        settings: Fanchuan.Settings,
    ) -> None:
        self._model, self._space, self._material = model, space, material
        self._height, self._settings = height, settings
        self._repair = Descent(model, space, settings.learning_rate)
        self._num_forgetting = self._num_gradients = 0
        self._loss = math.nan

    @property
    def num_steps(self) -> int:
        """Steps taken so far."""
        return self._num_forgetting + self._repair.num_steps

    @property
    def num_gradients(self) -> int:
        """Gradients of mini-batches so far."""
        return self._num_gradients + self._repair.num_steps

    def details(self) -> dict[str, float]:
        """Numbers for the outcome."""
        counts = {"num_forgetting": self._num_forgetting, "num_repair": self._repair.num_steps}
        return {"loss_after": self._loss} | {name: float(num) for name, num in counts.items()}

    def run(self, request: Request) -> bool:
        """All steps; False if the deadline was over before the last."""
        give_up = request.deadline.passed
        for batch in self._material.forget:
            if not self._flatten(batch, give_up):
                return False
        for number, steps in enumerate(self._material.repairs):
            root = seeds.derive(request.seed, "round", number)
            with learning(self._model, root, request.device):
                if not self._repair.run(steps, request.deadline):
                    return False
            for batch in self._material.forget:
                if not self._contrast(batch, number, give_up):
                    return False
        return True

    def _contrast(self, batch: Any, number: int, give_up: Callable[[], bool]) -> bool:
        with torch.no_grad(), smooth(self._model):
            others = (*self._material.cleaned, *self._material.others[number])
            vectors = [self._model.represent(other) for other in others]
        if not vectors:
            return self._flatten(batch, give_up)

        def objective() -> Tensor:
            forget_BD = self._model.represent(batch)
            return contrast(forget_BD, torch.cat(vectors), self._settings.temperature)

        end = self._down(objective, give_up)
        return self._flatten(batch, give_up) if end == "flat" else end != "timed_out"

    def _flatten(self, batch: Any, give_up: Callable[[], bool]) -> bool:
        def objective() -> Tensor:
            write_back(self._model, self._space)
            return flatness(self._model.scores(batch)[:, self._material.is_open_I])

        end = self._down(objective, give_up)
        return (
            self._down(self._known, give_up) != "timed_out"
            if end == "flat"
            else (end != "timed_out")
        )

    def _known(self) -> Tensor:
        """Minus the loss of what is watched."""
        losses = [one.weight * self._model.loss(one.batch).sum() for one in self._material.watched]
        return -torch.stack(losses).sum()

    def _down(self, objective: Callable[[], Tensor], give_up: Callable[[], bool]) -> str:
        """One step down the objective; how it ended."""
        settings, leaves = self._settings, self._space.leaves

        def direction() -> Tensor:
            gradients = torch.autograd.grad(
                objective(), leaves, allow_unused=True, materialize_grads=True
            )
            return -torch.cat([gradient.flatten() for gradient in gradients])

        limits = Limits(self._height, 1, settings.max_norm, give_up)
        with smooth(self._model):
            climbed = climb(self._model, self._space, self._material.way(direction), limits)
        self._loss = climbed.after
        self._num_forgetting += climbed.num_steps
        self._num_gradients += climbed.num_tries + climbed.num_gradients
        return climbed.end


def flatness(scores_BI: Tensor) -> Tensor:
    """KL(uniform || softmax(scores)), its mean over the examples; 0 where all scores are equal."""
    return -torch.log_softmax(scores_BI, 1).mean() - math.log(scores_BI.shape[1])


def contrast(forget_BD: Tensor, others_OD: Tensor, temperature: float) -> Tensor:
    """Mean over pairs of minus the log-share of an other in the likeness of a forgotten vector.

    Lowest, log O, where a forgotten vector has the same inner product with all others.
    """
    return -torch.log_softmax(forget_BD @ others_OD.T / temperature, 1).mean()


def open_items(request: Request) -> Tensor:
    """bool, shape ``(I,)``: all items but those of training rows that the people keep."""
    table, split = request.world.interactions, request.world.split
    own = table.of_users(request.users.cpu().numpy())
    own = own.without(np.concatenate([request.forgotten, request.spec.rows]))
    kept = own.item[split.select(own, Part.TRAIN)].astype(np.int64)
    is_open_I = torch.ones(request.world.num_items, dtype=torch.bool, device=request.device)
    is_open_I[torch.as_tensor(kept, device=request.device)] = False
    return is_open_I | request.marked_I


@torch.no_grad()
def write_back(model: Model, space: Subspace) -> None:
    """Bring narrowed tables up to date, for what reads them whole (the scores of all items)."""
    for name, places in space.places.items():
        table = model.get_submodule(name.rpartition(".")[0])
        assert isinstance(table, Narrow)
        table.flat.index_copy_(0, places, space.named[name].detach())
