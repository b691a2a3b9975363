"""Blur the rows of a request, then repair them on what is left."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._mode import in_mode
from erase_ray.methods._request import Request
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples


@METHODS.register
class Seif(Method):
    """Erase by multiplicative noise, W ← W + |W| ⊙ N(0, std²), then repair.

    The noise falls on the person's rows of the user tables or, where the model has none, on the
    forgotten items' rows of the item tables; on each row once in a chain. The repair is a few
    passes of Adam over the person's remaining examples and a sample of other people's, in which
    examples that aim at a forgotten item count little; a trace of noise comes before its last
    pass.

    Paper: none; noise-and-repair entry of Seif Eddine Achour to the NeurIPS 2023 Machine
    Unlearning Challenge, which erases the convolutions of an image classifier once.
    Differs from it: noise on the same weights at every request of a stream would compound (a
    median weight shrinks by a fifth each time, and some explode), so only rows that a request is
    about are blurred, those of an item that many requests name at the first of them, and only
    embedding tables are repaired. The public reference blurs whole tables at every request, never
    repairs on the person's own remaining examples, and multiplies a whole mini-batch by its mean
    weight, which Adam cancels; here each example has its weight, and each request its own
    optimiser.
    Cost of a request: ``repair_epochs`` passes over the person's examples and the sample, and an
    Adam step on the whole tables for each mini-batch.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of `Seif`."""

        erase_std: float = Field(default=0.6, ge=0)
        """Standard deviation of the noise that erases, in units of each weight."""
        erase_std_final: float = Field(default=0.005, ge=0)
        """The same before the last of several repair passes."""
        repair_epochs: int = Field(default=4, ge=0)
        """Passes of the repair; 0 leaves the rows as the noise made them."""
        learning_rate: float = Field(default=7e-4, gt=0)
        """Adam's step size in the repair."""
        batch_size: int = Field(default=256, ge=1)
        """Examples of a repair step."""
        forget_class_weight: float = Field(default=0.05, ge=0)
        """Weight of a repair example that aims at a forgotten item; all others weigh 1."""
        retain_factor: int = Field(default=32, ge=0)
        """Other people's examples in the repair, for each example to forget."""
        min_retain: int = Field(default=256, ge=0)
        """Other people's examples in the repair, at least."""
        aim_share: float = Field(default=0.0, ge=0, le=1)
        """Share of them drawn from examples that aim at a forgotten item."""

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The user and item tables, but not those over pairs of items."""
        return model.user_tables() | row_tables(model)

    def forget(self, model: Model, request: Request) -> Outcome:
        """Erase and repair in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        blur(model, request, self.settings.erase_std)
        # dropout draws from the global generator
        dropout = seeds.derive(request.seed, "dropout")
        with in_mode(model, training=True), seeds.torch_scope(dropout, request.device):
            return self._repair(model, request)

    def _repair(self, model: Model, request: Request) -> Outcome:
        tables = list(self.changes(model).values())
        optimiser = torch.optim.Adam(tables, lr=self.settings.learning_rate, fused=True)
        pools = self._pools(request)
        num_steps, num_epochs = 0, self.settings.repair_epochs
        for epoch in range(num_epochs):
            if 0 < epoch == num_epochs - 1:
                blur(model, request, self.settings.erase_std_final)
            for parts in mini_batches(pools, self.settings.batch_size, request.seed, epoch):
                if request.deadline.passed():
                    limit = request.deadline.limit_s
                    reason = f"{limit:g} s were over after {num_steps} repair steps"
                    return Outcome("timed_out", reason, num_steps)
                _step(model, tables, optimiser, parts)
                num_steps += 1
        num_kept, num_retain = (float(len(pool.examples)) for pool in pools)
        details = {"num_kept": num_kept, "num_retain": num_retain}
        return Outcome("applied", num_gradients=num_steps, details=details)

    def _pools(self, request: Request) -> list["Pool"]:
        settings = self.settings
        num_retain = max(settings.min_retain, settings.retain_factor * len(request.forget))
        retain = request.retain(num_retain, settings.aim_share)
        low = settings.forget_class_weight
        return [Pool(examples, low, request.marked_I) for examples in (request.kept, retain)]


class Pool:
    """Repair examples and what each of them weighs.

    Args:
        examples: May be empty.
        low: Weight of an example that aims at a marked item; others weigh 1.
        marked_I: True for the forgotten items.
    """

    def __init__(self, examples: Examples, low: float, marked_I: Tensor) -> None:
        self.examples = examples
        aims_N = examples.aims_at(marked_I)
        self.weight_N = torch.where(aims_N, low, torch.ones(len(examples), device=aims_N.device))


def mini_batches(
    pools: list[Pool], size: int, seed: int, epoch: int
) -> Iterator[list[tuple[Any, Tensor]]]:
    """Each example once, in mini-batches that hold the same share of every pool.

    Yields:
        The batch and the weights of its examples, for each pool that has some left.
    """
    num_steps = math.ceil(sum(len(pool.examples) for pool in pools) / size)
    if not num_steps:
        return
    root = seeds.derive(seed, "repair", epoch)
    orders = [seeds.order(root, pool.examples.rows) for pool in pools]
    for chunks in zip(*(order.tensor_split(num_steps) for order in orders), strict=True):
        yield [
            (pool.examples.batch(chunk, root), pool.weight_N[chunk])
            for pool, chunk in zip(pools, chunks, strict=True)
            if len(chunk)
        ]


@torch.no_grad()
def blur(model: Model, request: Request, std: float) -> None:
    """Add noise to the new rows of the request in place, in units of each weight."""
    tables = model.user_tables()
    asked, column = (request.users, "user") if tables else (request.items, "item")
    rows = asked[~torch.isin(asked, _asked_before(request, column))]
    for table in (tables or row_tables(model)).values():
        old = table[rows]
        noise = torch.empty_like(old).normal_(generator=request.generator)
        table[rows] = old + old.abs() * (std * noise)


def _asked_before(request: Request, column: str) -> Tensor:
    """Users or items that earlier requests of the chain named, ascending, int64."""
    table = request.world.interactions
    ids = getattr(table, column)[np.searchsorted(table.row, request.forgotten)]
    return torch.as_tensor(np.unique(ids).astype(np.int64), device=request.device)


def row_tables(model: Model) -> dict[str, nn.Parameter]:
    """The item tables whose size grows with the number of items, not with its square."""
    num_items = model.shape.num_items
    tables = model.item_tables().items()
    return {name: table for name, table in tables if table.shape[1:] != (num_items,)}


def _step(
    model: Model,
    tables: list[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    parts: list[tuple[Any, Tensor]],
) -> None:
    total = torch.stack([(weight_B * model.loss(batch)).sum() for batch, weight_B in parts]).sum()
    loss = total / sum(len(weight_B) for _, weight_B in parts)
    gradients = torch.autograd.grad(loss, tables, allow_unused=True, materialize_grads=True)
    for table, gradient in zip(tables, gradients, strict=True):
        table.grad = gradient
    optimiser.step()
    optimiser.zero_grad()
