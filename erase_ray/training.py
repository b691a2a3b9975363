"""One training loop for all models: Adam, validation after every epoch, the best weights win."""

import logging
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.errors import TrainingError
from erase_ray.evaluation import measure, rank
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import Model, TrainingSettings
from erase_ray.models._adam import Adam
from erase_ray.tasks import Cut, Examples, Queries, Task

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, float, float | None], None]
"""Called after each epoch with its number (from 0), its loss and the value on valid, if any."""


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went.

    Args:
        best_epoch: Epoch (from 0) whose weights were kept; the last where nothing was validated.
        epochs: Epochs that were run.
        valid_curve: Selection metric after each epoch; empty where there are no valid queries.
        losses: Mean training loss of an example in each epoch.
        seconds: Wall-clock time of it all.
    """

    best_epoch: int
    epochs: int
    valid_curve: list[float]
    losses: list[float]
    seconds: float


def train(
    model: Model,
    task: Task,
    interactions: Interactions,
    split: Split,
    settings: TrainingSettings,
    seed: int,
    device: torch.device | str,
    on_epoch: OnEpoch | None = None,
) -> TrainingRecord:
    """Train ``model`` from new initial weights and leave the best weights in it.

    The order of the examples and what is drawn for each (negatives) depend on the seed, the epoch
    and the row id of the example alone, so training without some rows meets the others in the
    same order with the same draws. Best is the epoch with the highest unrounded value of the
    selection metric on the valid queries of ``interactions``, the first of equal ones.

    Raises:
        TrainingError: There are no training examples, or a loss or the weights are not finite.
        UnknownNameError: No metric has the name ``settings.select_metric``.
    """
    start = time.perf_counter()
    device = torch.device(device)
    cut = Cut(model.max_history, device)
    examples = task.examples(interactions, split, cut)
    if not len(examples):
        raise TrainingError(f"model '{model.name}' has no training examples left to learn from")
    model.to(device)
    model.reset(seeds.torch_generator(seed, "init"))
    if model.has_edges:
        model.set_edges(*_edges(interactions, split, device))
    model.prepare(examples)
    judge = _Judge(task.queries(interactions, split, Part.VALID, cut), settings)
    with closing(Adam(model, settings.learning_rate, settings.weight_decay)) as optimizer:
        steps = _Steps(model, examples, optimizer, settings, seed)
        curves = _run_epochs(model, steps, judge, settings, on_epoch)
    _check_weights(model)
    return TrainingRecord(**curves, seconds=time.perf_counter() - start)


def _run_epochs(
    model: Model,
    steps: "_Steps",
    judge: "_Judge",
    settings: TrainingSettings,
    on_epoch: OnEpoch | None,
) -> dict[str, Any]:
    best, losses = _Best(model), []
    for epoch in range(settings.epochs):
        losses.append(steps.run(epoch))
        value = judge.value(model)
        if value is not None:
            best.offer(epoch, value, is_last=epoch + 1 == settings.epochs)
        logger.debug("%s epoch %d: loss %.6g, valid %s", model.name, epoch, losses[-1], value)
        if on_epoch is not None:
            on_epoch(epoch, losses[-1], value)
        if best.num_waited >= settings.patience:
            break
    best.restore()
    best_epoch = len(losses) - 1 if best.epoch is None else best.epoch
    return {
        "best_epoch": best_epoch,
        "epochs": len(losses),
        "valid_curve": best.curve,
        "losses": losses,
    }


@dataclass(eq=False)
class _Steps:
    """The optimiser steps of an epoch."""

    model: Model
    examples: Examples
    optimizer: Adam
    settings: TrainingSettings
    seed: int

    def __post_init__(self) -> None:
        self._has_dropout = any(_drops(module) for module in self.model.modules())

    def run(self, epoch: int) -> float:
        """Visit every example once; the mean loss of an example."""
        self.model.train()
        order = seeds.order(seeds.derive(self.seed, "order", epoch), self.examples.rows)
        draw = seeds.derive(self.seed, "negatives", epoch)
        indices = order.split(self.settings.batch_size)
        losses = torch.zeros(len(indices), device=order.device)
        for step, index in enumerate(indices):
            losses[step] = self._step(self.examples.batch(index, draw), epoch, step)
        self._check(losses, epoch)
        sizes = torch.tensor([len(index) for index in indices], dtype=torch.float64)
        return float((losses.cpu() * sizes).sum() / sizes.sum())

    def _step(self, batch: Any, epoch: int, step: int) -> Tensor:
        with self._dropout(epoch, step):
            loss = self.model.loss(batch).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _dropout(self, epoch: int, step: int) -> Any:
        if not self._has_dropout:
            return nullcontext()
        seed = seeds.derive(self.seed, "dropout", epoch, step)
        return seeds.torch_scope(seed, self.examples.rows.device)

    def _check(self, losses: Tensor, epoch: int) -> None:
        bad = torch.nonzero(~torch.isfinite(losses)).flatten()
        if len(bad):
            raise TrainingError(
                f"the loss of model '{self.model.name}' is {float(losses[bad[0]])} at epoch "
                f"{epoch}, step {int(bad[0])}; a learning_rate below "
                f"{self.settings.learning_rate:g} may help"
            )


class _Judge:
    """The value that picks the best epoch."""

    def __init__(self, queries: Queries, settings: TrainingSettings) -> None:
        self._queries = queries
        self._k = settings.select_k
        self._metric = METRICS.get(settings.select_metric)()

    def value(self, model: Model) -> float | None:
        """Mean of the metric over the valid queries; None where there are none."""
        if not len(self._queries):
            return None
        ranked_QK = rank(model, self._queries, self._k)
        nothing_I = np.zeros(model.shape.num_items, dtype=bool)
        answers = Answers(ranked_QK, self._queries.relevant, nothing_I)
        return measure(answers, [self._metric], [self._k])[0].value


@dataclass(eq=False)
class _Best:
    """The best weights so far, in one set of buffers."""

    model: Model
    epoch: int | None = None
    num_waited: int = 0
    curve: list[float] = field(default_factory=list)
    _kept: dict[str, Tensor] = field(default_factory=dict)
    _is_current: bool = True

    def offer(self, epoch: int, value: float, is_last: bool) -> None:
        """Keep the weights of the model as they are now if ``value`` is above all before."""
        gains = self.epoch is None or value > self.curve[self.epoch]
        self.curve.append(value)
        self.num_waited = 0 if gains else self.num_waited + 1
        self._is_current = gains
        if gains:
            self.epoch = epoch
            if not is_last:
                self._keep()

    def restore(self) -> None:
        """Put the best weights into the model."""
        if not self._is_current:
            self._copy(self._kept, self.model.state_dict())

    def _keep(self) -> None:
        now = self.model.state_dict()
        if not self._kept:
            self._kept = {name: torch.empty_like(value) for name, value in now.items()}
        self._copy(now, self._kept)

    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in source.items():
                target[name].copy_(value)


def _check_weights(model: Model) -> None:
    bad = [
        name for name, weight in model.named_parameters() if not weight.detach().sum().isfinite()
    ]
    if bad:
        raise TrainingError(f"training left weights of model '{model.name}' not finite: {bad}")


def _edges(interactions: Interactions, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    inside = split.select(interactions, Part.TRAIN)
    columns = (interactions.user[inside], interactions.item[inside])
    user_E, item_E = (torch.as_tensor(c.astype(np.int64), device=device) for c in columns)
    return user_E, item_E


def _drops(module: nn.Module) -> bool:
    shares = (getattr(module, name, 0) for name in ("p", "dropout"))
    return any(isinstance(share, float) and share > 0 for share in shares)
