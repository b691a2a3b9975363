"""The published Fanchuan: flat scores for the whole history, then contrast and repair."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray import pulse, seeds
from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._adam import SharedAdam, cut_short, fine_tune
from erase_ray.reference._loader import Loader
from erase_ray.reference._view import look
from erase_ray.reference._work import BATCH_SIZE, TimeOverError, Work, serve
from erase_ray.settings import Frozen

ALREADY_SHARES = ("sets2sets",)
"""Models whose published scores are probabilities already."""


@METHODS.register_reference
class Fanchuan(Method):
    """What the published implementation computes as Fanchuan.

    For each mini-batch of D_u one step of Adam down KL(uniform ‖ softmax(scores)) over all items.
    Then ``num_rounds`` times: for each mini-batch a of D_u a step down L(a, b) with b the next
    mini-batch of D_u^c, if there is one left, and a step down L(a, b) with b the next 256 rows of
    S; then FT(16F) on S.

        L(a, b) = mean over i, j of −log softmax_j(⟨z_i, z_j⟩ / temperature)

    Defects, as published:
        1. The forgotten data are the person's whole history, so what he or she keeps is flattened
           as well.
        2. The moments of Adam go on from request to request: rows of earlier people drift.
        3. In collaborative filtering z is the raw row of the user table, also where the model
           propagates; and both sides of the contrast are trained.
        4. Sets2Sets: its scores are probabilities, of which the softmax is taken once more, so
           the first stage is nearly flat; and z is what it outputs, a vector over all items.

    The corrected edition is :mod:`erase_ray.methods.fanchuan`. The published scores hold a padding
    item, ours do not; the published z of DNNTSP is that of its basket embedding, ours its
    ``represent``, which is the same mean. A deadline keeps what was done.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Fanchuan`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        num_rounds: int = Field(default=8, ge=0)
        """Rounds of contrast and repair."""
        temperature: float = Field(default=1.15, gt=0)
        """Divides the inner products in the contrast."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Flatten, contrast and repair in place."""
        view = look(request, factor=64, least=32)
        return serve(model, request, view, self.changes(model), self._all_stages)

    def _all_stages(self, work: Work) -> Outcome:
        adam = SharedAdam(work)
        work.check_time()
        try:
            self._flatten(work, adam)
            self._rounds(work, adam)
        except TimeOverError:
            adam.keep()
            return work.outcome("applied", cut_short(work, adam))
        adam.keep()
        return work.outcome("applied")

    def _flatten(self, work: Work, adam: SharedAdam) -> None:
        for batch in work.loader(work.view.own, "own").batches():
            work.check_time()
            adam.step(flatness(work.model, batch))

    def _rounds(self, work: Work, adam: SharedAdam) -> None:
        own = work.loader(work.view.own, "contrast own")
        clean = work.loader(work.view.clean, "contrast clean")
        others = _others(work)
        for _ in range(self.settings.num_rounds):
            cleaned = clean.batches()
            for batch in own.batches():
                for other in (next(cleaned, None), next(others)):
                    if other is not None:
                        work.check_time()
                        adam.step(contrast(work.model, batch, other, self.settings.temperature))
            if not fine_tune(work, adam, 16 * work.view.num_own):
                raise TimeOverError


def flatness(model: Model, batch: Any) -> Tensor:
    """KL(uniform ‖ softmax(scores)) up to a constant, a scalar."""
    scores_BI = model.scores(batch)
    if model.name in ALREADY_SHARES:
        scores_BI = torch.softmax(scores_BI, 1)
    return -(torch.softmax(scores_BI, 1) + 1e-20).log().mean()


def contrast(model: Model, own: Any, other: Any, temperature: float) -> Tensor:
    """L(own, other), a scalar."""
    inner_BO = vectors(model, own) @ vectors(model, other).T
    return -torch.log_softmax(inner_BO / temperature, 1).mean()


def vectors(model: Model, batch: Any) -> Tensor:
    """z, shape ``(B, D)``: raw user rows, else the model's vector; scores where it has none."""
    tables = list(model.user_tables().values())
    if tables:
        return tables[0].index_select(0, batch.user_B)
    return model.scores(batch) if model.name in ALREADY_SHARES else model.represent(batch)


def _others(work: Work) -> Iterator[Any]:
    """Mini-batches of 256 rows of S for ever, from permutations one behind the other."""
    retain, root = work.view.retain, work.request.seed
    loader = Loader(retain, BATCH_SIZE, seeds.derive(root, "reference", "contrast others"))
    places = torch.arange(len(retain), device=retain.rows.device)
    pool, number = places[:0], 0
    while True:
        pulse.beat()
        laps = math.ceil(max(BATCH_SIZE - len(pool), 0) / len(retain))
        roots = [seeds.derive(root, "contrast pool", number + lap) for lap in range(laps)]
        pool, number = (
            torch.cat([pool, *(seeds.order(one, places) for one in roots)]),
            number + laps,
        )
        yield loader.batch(pool[:BATCH_SIZE])
        pool = pool[BATCH_SIZE:]
