"""One training loop for all models: Adam, validation after every epoch, the best weights win."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erase_ray import portions, pulse, seeds
from erase_ray.checkpoints import Checkpoint, TrainingState
from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.data.split import Part, Split
from erase_ray.errors import TrainingError
from erase_ray.models import Model, TrainingSettings
from erase_ray.models._adam import Adam
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.models._sharded import Shard
from erase_ray.models._share import sharing
from erase_ray.portions import Portion
from erase_ray.selection import Best, Judge
from erase_ray.tasks import Cut, Examples, Task
from erase_ray.tasks._arrays import on_device
from erase_ray.team import Team

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
    checkpoint: Checkpoint | None = None,
    team: Team | None = None,
    shard_tables: bool = False,
    best_of: Callable[[Model], Best] = Best,
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
        team: The processes that train together, each of which calls this with the same arguments;
            they share out every batch, and the result is that of one process up to the order in
            which numbers are added up. ``on_epoch`` is called, and the checkpoint is saved, by
            member 0 alone; all members load it. None: this process trains alone.
        shard_tables: Whether each member holds only its part of the rows of large tables, their
            gradients and moments. Afterwards only member 0 has the whole model, on the CPU.
        best_of: Makes what picks the best epoch.

    Raises:
        TrainingError: There are no training examples, a loss or the weights are not finite, or
            the checkpoint belongs to another run.
        UnknownNameError: No metric has the name ``settings.select_metric``.
    """
    start = time.perf_counter()
    device = torch.device(device)
    if team is not None:
        portions.check_team(model, settings, shard_tables)
    elif shard_tables:
        raise TrainingError("shard_tables needs several workers to share the rows out among")
    cut = Cut(model.max_history, device)
    examples = task.examples(interactions, split, cut)
    if not len(examples):
        raise TrainingError(f"model '{model.name}' has no training examples left to learn from")
    shards = _begin(model, device, seed, team if shard_tables else None)
    if model.has_edges:
        model.set_edges(*training_edges(interactions, split, device))
    queries = task.queries(interactions, split, Part.VALID, cut)
    # scores from tables that are shared out need all members for every query
    judge = Judge(queries, settings, None if shards else team)
    if isinstance(model, Baseline):
        curves = _fit(model, _training_rows(interactions, split, device), judge)
    else:
        model.prepare(examples)
        run = _Run(model, settings, judge, seed, on_epoch, checkpoint, team, best_of)
        curves = run.epochs(examples)
    for shard in shards.values():
        shard.end()
    if shards:
        model.cpu()
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
    with closing(adam_of(model, settings)) as adam:
        steps = _Steps(model, examples, adam, settings, seed, epochs.start)
        for epoch in epochs:
            if should_stop():
                break
            losses.append(steps.run(epoch))
    _check_weights(model)
    return losses


def _begin(model: Model, device: torch.device, seed: int, sharers: Team | None) -> dict[str, Shard]:
    """Initial weights on the device; of some tables only the own rows where a team shares them."""
    draws = seeds.torch_generator(seed, "init")
    if sharers is None:
        model.to(device).reset(draws)
        return {}
    model.cpu().reset(draws)
    shards = portions.shard(model, sharers)
    model.to(device)
    return shards


def training_edges(
    interactions: Interactions, split: Split, device: torch.device
) -> tuple[Tensor, Tensor]:
    """User and item of the training rows, int64, shape ``(E,)`` each: what `set_edges` takes."""
    user_E, item_E = _training_columns(interactions, split, device, ("user", "item"))
    return user_E, item_E


def _training_rows(interactions: Interactions, split: Split, device: torch.device) -> TrainingRows:
    return TrainingRows(*_training_columns(interactions, split, device, COLUMNS))


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
    team: Team | None = None
    best_of: Callable[[Model], Best] = Best

    def epochs(self, examples: Examples) -> dict[str, Any]:
        """Run them all; losses and values by the names of :class:`TrainingRecord`."""
        settings = self.settings
        adam = adam_of(self.model, settings, self.team)
        best, losses = self.best_of(self.model), []
        identity = self._identity(examples) if self.checkpoint else {}
        with closing(adam):
            losses += self._resume(identity, adam, best)
            steps = _Steps(self.model, examples, adam, settings, self.seed, team=self.team)
            while len(losses) < settings.epochs and not best.has_waited(settings.patience):
                epoch = len(losses)
                losses.append(steps.run(epoch))
                self._judge(epoch, losses[-1], best)
                self._save(identity, losses, adam, best)
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
        if self.on_epoch is not None and self._leads:
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
        if self.team is not None:
            done = -1 if self.checkpoint is None else len(state.losses) if state else 0
            self.team.check_same([done], "the epochs in the checkpoint (-1: there is none)")
        if state is None:
            return []
        state.check(identity)
        parts = ("model", "adam", "best")
        weights, moments, kept = (
            portions.scattered(self.model, state.part(name)) for name in parts
        )
        self.model.load_state_dict(weights)
        adam.load(moments)
        best.resume(state.curve, kept)
        logger.info("%s goes on after epoch %d", self.model.name, len(state.losses) - 1)
        return state.losses

    def _save(self, identity: dict[str, Any], losses: list[float], adam: Adam, best: Best) -> None:
        if self.checkpoint is None:
            return
        parts = {"model": self.model.state_dict(), "best": best.kept, "adam": adam.state()}
        tensors = {
            f"{part}/{name}": tensor
            for part, own in parts.items()
            for name, tensor in portions.gathered(self.model, own).items()
        }
        if self._leads:
            self.checkpoint.save(TrainingState(identity, losses, best.curve, tensors))

    @property
    def _leads(self) -> bool:
        return self.team is None or self.team.leads


@dataclass(eq=False)
class _Steps:
    """The optimiser steps of an epoch."""

    model: Model
    examples: Examples
    optimizer: Adam
    settings: TrainingSettings
    seed: int
    first_epoch: int = 0
    team: Team | None = None

    def __post_init__(self) -> None:
        self._has_dropout = any(_drops(module) for module in self.model.modules())
        self._dtype: torch.dtype = getattr(torch, self.settings.precision)
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
        losses = torch.zeros(-(-len(order) // settings.batch_size), device=order.device)
        for step, batch in enumerate(self._batches(order, draw)):
            pulse.beat()
            losses[step] = self._step(batch, epoch, step)
        if self.team is not None:
            self.team.add([losses])
            portions.keep_together(self.model, self.optimizer.moments(), self.team, epoch)
        self._check(losses, epoch)
        sizes = torch.full_like(losses, settings.batch_size, dtype=torch.float64, device="cpu")
        sizes[-1] = len(order) - settings.batch_size * (len(losses) - 1)
        return float((losses.cpu() * sizes).sum() / sizes.sum())

    def _batches(self, order: Tensor, draw: int) -> Iterator[Any]:
        size = self.settings.batch_size
        if self.team is None:
            return self.examples.batches(order, size, draw)
        return portions.portions(self.examples, order, size, draw, self.team)

    def _step(self, batch: Any, epoch: int, step: int) -> Tensor:
        part = batch if isinstance(batch, Portion) else None
        self.optimizer.listen()
        # before the loss: reading a block table lends blocks, which this would take back
        self.optimizer.zero_grad()
        with sharing(part and part.share):
            with self._dropout(epoch, step), self._autocast():
                loss = self._loss(batch).mean() if part is None else self._part(part)
            loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _part(self, part: Portion) -> Tensor:
        return self._loss(part.batch).sum() * part.weight

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


def adam_of(model: Model, settings: TrainingSettings, team: Team | None = None) -> Adam:
    """The optimiser of a training with ``settings``; close it when done with it."""
    betas = (settings.beta_1, settings.beta_2)
    rate, decay = settings.learning_rate, settings.weight_decay
    return Adam(model, rate, decay, betas, settings.epsilon, team)


def _check_weights(model: Model) -> None:
    bad = [
        name for name, weight in model.named_parameters() if not weight.detach().sum().isfinite()
    ]
    if bad:
        raise TrainingError(f"training left weights of model '{model.name}' not finite: {bad}")


def _drops(module: nn.Module) -> bool:
    shares = (getattr(module, name, 0) for name in ("p", "dropout"))
    return any(isinstance(share, float) and share > 0 for share in shares)
