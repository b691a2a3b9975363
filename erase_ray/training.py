"""One training loop for all models: Adam, validation after every epoch, the best weights win."""

import logging
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.checkpoints import Checkpoint, TrainingState
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.errors import TrainingError
from erase_ray.models import Model, TrainingSettings
from erase_ray.models._adam import Adam
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.selection import Best, Judge
from erase_ray.tasks import Cut, Examples, Task
from erase_ray.tasks._arrays import on_device

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, float, float | None], None]
"""Called after each epoch with its number (from 0), its loss and the value on valid, if any."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
    checkpoint: Checkpoint | None = None,
) -> TrainingRecord:
    """Train ``model`` from new initial weights and leave the best weights in it.

    The order of the examples and what is drawn for each (negatives) depend on the seed, the epoch
    and the row id of the example alone, so training without some rows meets the others in the
    same order with the same draws. Best is the epoch with the highest unrounded value of the
    selection metric on the valid queries of ``interactions``, the first of equal ones. Baselines
    are fitted instead.

    Args:
        model: Any weights; they are set anew.
        task: Reads examples and valid queries from ``interactions``.
        interactions: The rows that are left.
        split: Mark of each row.
        settings: How to train.
        seed: Root of all draws.
        device: Where to train.
        on_epoch: Told of each epoch that is run here.
        checkpoint: Where the state is kept after every epoch. If it holds one of this very run,
            training goes on from there and ends in the same weights, bit by bit.

    Raises:
        TrainingError: There are no training examples, a loss or the weights are not finite, or
            the checkpoint belongs to another run.
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
        model.set_edges(*training_edges(interactions, split, device))
    judge = Judge(task.queries(interactions, split, Part.VALID, cut), settings)
    if isinstance(model, Baseline):
        curves = _fit(model, _training_rows(interactions, split, device), judge)
    else:
        model.prepare(examples)
        run = _Run(model, settings, judge, seed, on_epoch, checkpoint)
        curves = run.epochs(examples)
    _check_weights(model)
    return TrainingRecord(**curves, seconds=time.perf_counter() - start)


def train_epochs(
    model: Model,
    examples: Examples,
    settings: TrainingSettings,
    seed: int,
    epochs: range,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Train ``model`` for some epochs more, from the weights that are in it.

    Nothing is validated and no epoch is picked; the optimiser and the decay of its step size begin
    anew with the first of ``epochs``. As in :func:`train`, all draws depend on the seed, the number
    of the epoch and the row id of an example alone. Edges are set, and :meth:`Model.prepare` is
    called, by whoever calls this.

    Args:
        model: On the device of the examples; left in training mode.
        examples: One or more.
        settings: How to train; ``epochs``, ``patience`` and the selection metric have no influence.
        seed: Root of all draws.
        epochs: Their numbers, which the draws depend on.
        should_stop: Asked before each epoch; no more are run once it says yes.

    Returns:
        Mean loss of an example in each epoch that was run.

    Raises:
        TrainingError: There are no examples, or a loss or the weights are not finite.
    """
    if not len(examples):
        raise TrainingError(f"model '{model.name}' has no training examples left to learn from")
    losses = []
    with closing(_adam(model, settings)) as adam:
        steps = _Steps(model, examples, adam, settings, seed, epochs.start)
        for epoch in epochs:
            if should_stop():
                break
            losses.append(steps.run(epoch))
    _check_weights(model)
    return losses


def training_edges(
    interactions: Interactions, split: Split, device: torch.device
) -> tuple[Tensor, Tensor]:
    """User and item of the training rows, int64, shape ``(E,)`` each: what `set_edges` takes."""
    user_E, item_E = _training_columns(interactions, split, device, ("user", "item"))
    return user_E, item_E


def _training_rows(interactions: Interactions, split: Split, device: torch.device) -> TrainingRows:
    names = ("user", "sequence", "step", "item", "time")
    return TrainingRows(*_training_columns(interactions, split, device, names))


def _training_columns(
    interactions: Interactions, split: Split, device: torch.device, names: tuple[str, ...]
) -> list[Tensor]:
    inside = split.select(interactions, Part.TRAIN)
    return [on_device(getattr(interactions, name)[inside], device) for name in names]


def _fit(model: Baseline, rows: TrainingRows, judge: Judge) -> dict[str, Any]:
    model.fit(rows)
    value = judge.value(model)
    curve = [] if value is None else [value]
    return {"best_epoch": 0, "epochs": 0, "valid_curve": curve, "losses": []}


@dataclass(eq=False)
class _Run:
    """The epochs of one training run."""

    model: Model
    settings: TrainingSettings
    judge: Judge
    seed: int
    on_epoch: OnEpoch | None
    checkpoint: Checkpoint | None

    def epochs(self, examples: Examples) -> dict[str, Any]:
        """Run them all; losses and values by the names of :class:`TrainingRecord`."""
        settings = self.settings
        adam = _adam(self.model, settings)
        best, losses = Best(self.model), []
        identity = self._identity(examples) if self.checkpoint else {}
        with closing(adam):
            losses += self._resume(identity, adam, best)
            steps = _Steps(self.model, examples, adam, settings, self.seed)
            while len(losses) < settings.epochs and best.num_waited < settings.patience:
                epoch = len(losses)
                losses.append(steps.run(epoch))
                self._judge(epoch, losses[-1], best)
                if self.checkpoint:
                    self.checkpoint.save(self._state(identity, losses, adam, best))
        best.restore()
        best_epoch = len(losses) - 1 if best.epoch is None else best.epoch
        return {
            "best_epoch": best_epoch,
            "epochs": len(losses),
            "valid_curve": best.curve,
            "losses": losses,
        }

    def _judge(self, epoch: int, loss: float, best: Best) -> None:
        value = self.judge.value(self.model)
        if value is not None:
            is_last = epoch + 1 == self.settings.epochs and self.checkpoint is None
            best.offer(epoch, value, is_last)
        logger.debug("%s epoch %d: loss %.6g, valid %s", self.model.name, epoch, loss, value)
        if self.on_epoch is not None:
            self.on_epoch(epoch, loss, value)

    def _identity(self, examples: Examples) -> dict[str, Any]:
        sums = seeds.hash_ids(0, examples.fingerprints()).sum()
        return {
            "model": self.model.name,
            "version": self.model.version,
            "settings": self.model.settings.model_dump(mode="json"),
            "training": self.settings.model_dump(mode="json"),
            "seed": self.seed,
            "examples": [len(examples), int(sums)],
        }

    def _resume(self, identity: dict[str, Any], adam: Adam, best: Best) -> list[float]:
        state = self.checkpoint.load() if self.checkpoint else None
        if state is None:
            return []
        state.check(identity)
        self.model.load_state_dict(state.part("model"))
        adam.load(state.part("adam"))
        best.resume(state.curve, state.part("best"))
        logger.info("%s goes on after epoch %d", self.model.name, len(state.losses) - 1)
        return state.losses

    def _state(
        self, identity: dict[str, Any], losses: list[float], adam: Adam, best: Best
    ) -> TrainingState:
        parts = {"model": self.model.state_dict(), "best": best.kept, "adam": adam.state()}
        tensors = {f"{part}/{name}": t for part, own in parts.items() for name, t in own.items()}
        return TrainingState(identity, losses, best.curve, tensors)


@dataclass(eq=False)
class _Steps:
    """The optimiser steps of an epoch."""

    model: Model
    examples: Examples
    optimizer: Adam
    settings: TrainingSettings
    seed: int
    first_epoch: int = 0

    def __post_init__(self) -> None:
        self._has_dropout = any(_drops(module) for module in self.model.modules())
        self._dtype = PRECISIONS[self.settings.precision]
        loss = self.model.loss
        self._loss = torch.compile(loss, dynamic=True) if self.settings.compile else loss

    def run(self, epoch: int) -> float:
        """Visit every example once; the mean loss of an example."""
        settings = self.settings
        self.model.train()
        self.model.start_epoch(seeds.derive(self.seed, "epoch", epoch))
        if settings.decay_every:
            decay = settings.decay_factor ** ((epoch - self.first_epoch) // settings.decay_every)
            self.optimizer.set_learning_rate(settings.learning_rate * decay)
        order = seeds.order(seeds.derive(self.seed, "order", epoch), self.examples.rows)
        draw = seeds.derive(self.seed, "negatives", epoch)
        batches = self.examples.batches(order, settings.batch_size, draw)
        losses = torch.zeros(-(-len(order) // settings.batch_size), device=order.device)
        for step, batch in enumerate(batches):
            losses[step] = self._step(batch, epoch, step)
        self._check(losses, epoch)
        sizes = torch.full_like(losses, settings.batch_size, dtype=torch.float64, device="cpu")
        sizes[-1] = len(order) - settings.batch_size * (len(losses) - 1)
        return float((losses.cpu() * sizes).sum() / sizes.sum())

    def _step(self, batch: Any, epoch: int, step: int) -> Tensor:
        with self._dropout(epoch, step), self._autocast():
            loss = self._loss(batch).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _dropout(self, epoch: int, step: int) -> Any:
        if not self._has_dropout:
            return nullcontext()
        seed = seeds.derive(self.seed, "dropout", epoch, step)
        return seeds.torch_scope(seed, self.examples.rows.device)

    def _autocast(self) -> Any:
        if self._dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.examples.rows.device.type, self._dtype)

    def _check(self, losses: Tensor, epoch: int) -> None:
        bad = torch.nonzero(~torch.isfinite(losses)).flatten()
        if len(bad):
            raise TrainingError(
                f"the loss of model '{self.model.name}' is {float(losses[bad[0]])} at epoch "
                f"{epoch}, step {int(bad[0])}; a learning_rate below "
                f"{self.settings.learning_rate:g} may help"
            )


def _adam(model: Model, settings: TrainingSettings) -> Adam:
    betas = (settings.beta_1, settings.beta_2)
    return Adam(model, settings.learning_rate, settings.weight_decay, betas, settings.epsilon)


def _check_weights(model: Model) -> None:
    bad = [
        name for name, weight in model.named_parameters() if not weight.detach().sum().isfinite()
    ]
    if bad:
        raise TrainingError(f"training left weights of model '{model.name}' not finite: {bad}")


def _drops(module: nn.Module) -> bool:
    shares = (getattr(module, name, 0) for name in ("p", "dropout"))
    return any(isinstance(share, float) and share > 0 for share in shares)
