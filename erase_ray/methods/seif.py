"""Blur the rows of a request, then repair them on what is left."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._curvature import Weighted, smooth, weighted_batches
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._repair import Descent, Pool, Step, batches_of, learning, plan
from erase_ray.methods._request import Request
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.methods._unseen import mean_loss
from erase_ray.models import Model
from erase_ray.settings import Frozen


@METHODS.register
class Seif(Method):
    """Erase by multiplicative noise, W ← W + |W| ⊙ N(0, std²), then repair what was blurred.

    The noise falls on the person's rows of the user tables or, where the model has none, on the
    forgotten items' rows of the item tables; on each row once in a chain. The repair is a few
    passes of Adam over the person's remaining examples and a sample of other people's, in which
    examples that aim at a forgotten item count little; a trace of noise comes before its last
    pass.

    Paper: none; noise-and-repair entry of Seif Eddine Achour to the NeurIPS 2023 Machine
    Unlearning Challenge, which erases the convolutions of an image classifier once.
    Differs from it: noise on the same weights at every request of a stream would compound (a
    median weight shrinks by a fifth each time, and some explode), so only rows that a request is
    about are blurred, those of an item that many requests name at the first of them; a request
    without new rows is skipped. Only blurred rows are repaired: on a trained model some passes of
    Adam over few examples cost more than the noise, and they add up over a chain. Noise alone has
    no direction, so in each table that one of it and its mirror image is taken by which the
    forgotten examples lose more. The public reference blurs whole tables at every request,
    whatever is to be forgotten, never repairs on the person's own remaining examples, and
    multiplies a whole mini-batch by its mean weight, which Adam cancels; here each example has its
    weight, and each request its own optimiser.
    Cost of a request: ``repair_epochs`` passes over the person's examples and the sample, and two
    losses of the examples to forget for each table. Not the size of tables of which few rows are
    read.
    """

    version: ClassVar[int] = 2
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `Seif`."""

        erase_std: float = Field(default=0.6, ge=0)
        """Standard deviation of the noise that erases, in units of each weight."""
        pick_sign: bool = True
        """Of a table's noise and its mirror image, which are equally likely, take the one by which
        the examples to forget lose more."""
        erase_std_final: float = Field(default=0.005, ge=0)
        """The same before the last of several repair passes."""
        repair_epochs: int = Field(default=4, ge=0)
        """Passes of the repair; 0 leaves the rows as the noise made them."""
        learning_rate: float = Field(default=7e-4, gt=0)
        """Adam's step size in the repair."""
        rest_rate: float = Field(default=0.0, ge=0, le=1)
        """Factor of it for the rows of embedding tables that were not blurred."""
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
        """The tables that are blurred; with a ``rest_rate`` the item tables as well."""
        others = row_tables(model) if self.settings.rest_rate else {}
        return blurred_tables(model) | others

    def forget(self, model: Model, request: Request) -> Outcome:
        """Erase and repair in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        rows = new_rows(model, request)
        if not len(rows) and not self.settings.rest_rate:
            return Outcome("skipped", "earlier requests have blurred all rows that it is about")
        pools, epochs = self._pools(request), self.settings.repair_epochs
        steps = plan(pools, self.settings.batch_size, request.seed, epochs)
        read = batches_of(steps) + [one.batch for one in self._forgotten(request)]
        tables, extra = self.changes(model), dict.fromkeys(blurred_tables(model), rows)
        with subspace(model, tables, read, request.undo, extra) as space:
            blurred = {name: index_of(space, name, rows) for name in extra}
            self._erase(model, request, space, blurred)
            outcome = self._repair(model, request, space, blurred, steps)
        num_kept, num_retain = (float(len(pool.examples)) for pool in pools)
        details = {"num_kept": num_kept, "num_retain": num_retain, "num_blurred": float(len(rows))}
        return replace(outcome, details=details if outcome.status == "applied" else {})

    def _erase(
        self, model: Model, request: Request, space: Subspace, blurred: dict[str, Tensor]
    ) -> None:
        """Add noise to one table after the other, or its mirror image (see ``pick_sign``)."""
        settings, forgotten = self.settings, self._forgotten(request)
        noise = draw(space, blurred, settings.erase_std, request.generator)
        for name, index in blurred.items():
            rows = {name: index}
            add(space, rows, noise)
            if settings.pick_sign:
                with smooth(model):
                    plus = mean_loss(model, forgotten)
                    add(space, rows, noise, -2.0)
                    minus = mean_loss(model, forgotten)
                if plus >= minus:
                    add(space, rows, noise, 2.0)

    def _repair(
        self,
        model: Model,
        request: Request,
        space: Subspace,
        blurred: dict[str, Tensor],
        steps: list[Step],
    ) -> Outcome:
        settings = self.settings
        factors = step_factors(space, blurred, settings.rest_rate)
        last = settings.repair_epochs - 1
        with without_edges(model, request), learning(model, request.seed, request.device):
            descent = Descent(model, space, settings.learning_rate, factors)
            in_time = descent.run((one for one in steps if one.epoch < last), request.deadline)
            if last > 0:
                final = draw(space, blurred, settings.erase_std_final, request.generator)
                add(space, blurred, final)
            in_time &= descent.run((one for one in steps if one.epoch == last), request.deadline)
        done = descent.num_steps
        if not in_time:
            limit = request.deadline.limit_s
            return Outcome("timed_out", f"{limit:g} s were over after {done} repair steps", done)
        return Outcome("applied", num_gradients=done)

    def _forgotten(self, request: Request) -> list[Weighted]:
        """Batches of the mean loss of what is forgotten."""
        size = self.settings.batch_size
        return weighted_batches(request.forget, 1 / len(request.forget), size, request.seed)

    def _pools(self, request: Request) -> list[Pool]:
        settings = self.settings
        num_retain = max(settings.min_retain, settings.retain_factor * len(request.forget))
        retain = request.retain(num_retain, settings.aim_share)
        low, marked_I = settings.forget_class_weight, request.marked_I
        return [Pool.aiming(examples, marked_I, low) for examples in (request.kept, retain)]


def blurred_tables(model: Model) -> dict[str, nn.Parameter]:
    """The user tables or, where the model has none, the item tables."""
    return model.user_tables() or row_tables(model)


def row_tables(model: Model) -> dict[str, nn.Parameter]:
    """The item tables whose size grows with the number of items, not with its square."""
    num_items = model.shape.num_items
    tables = model.item_tables().items()
    return {name: table for name, table in tables if table.shape[1:] != (num_items,)}


def new_rows(model: Model, request: Request) -> Tensor:
    """Rows of the blurred tables that this request is the first of its chain to be about.

    Users, or items where the model has no user table; ascending, int64.
    """
    users = bool(model.user_tables())
    asked, column = (request.users, "user") if users else (request.items, "item")
    table = request.world.interactions
    before = getattr(table, column)[np.searchsorted(table.row, request.forgotten)]
    earlier = torch.as_tensor(np.unique(before).astype(np.int64), device=request.device)
    return asked[~torch.isin(asked, earlier)]


def index_of(space: Subspace, name: str, rows: Tensor) -> Tensor:
    """Where the leaf of a table has some rows of the table."""
    places = space.places.get(name)
    return rows if places is None else torch.searchsorted(places, rows)


@torch.no_grad()
def draw(
    space: Subspace, blurred: dict[str, Tensor], std: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Noise for some rows of the tables, in units of each weight times ``std``.

    Args:
        space: Where the tables are.
        blurred: Which entries of the first dimension of their leaves, by table.
        std: Standard deviation.
        generator: Draws in the order of the tables.
    """
    noise = {}
    for name, index in blurred.items():
        old = space.named[name][index]
        noise[name] = old.abs() * (std * torch.empty_like(old).normal_(generator=generator))
    return noise


@torch.no_grad()
def add(
    space: Subspace, blurred: dict[str, Tensor], noise: dict[str, Tensor], factor: float = 1.0
) -> None:
    """Add noise to the rows it was drawn for, in place."""
    for name, index in blurred.items():
        space.named[name].index_add_(0, index, noise[name], alpha=factor)


def step_factors(space: Subspace, blurred: dict[str, Tensor], rest: float) -> dict[str, Tensor]:
    """Factors of the step size: 1 for the blurred rows, ``rest`` for the others."""
    factors = {name: torch.full_like(leaf, rest) for name, leaf in space.named.items()}
    for name, index in blurred.items():
        factors[name][index] = 1
    return factors
