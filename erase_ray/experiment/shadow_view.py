"""Which requests a shadow model has seen, and which it has not."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.errors import ScenarioError
from erase_ray.experiment.cell import Shadow
from erase_ray.scenarios import Chain


def membership(num_requests: int, num_shadows: int, seed: int) -> np.ndarray:
    """Which requests are in which shadow models: bool, shape ``(K, R)``.

    Each request is in exactly half of the models, drawn at random.
    """
    draws = seeds.numpy_generator(seed, "shadow", "membership", num_shadows)
    order_RK = draws.random((num_requests, num_shadows)).argsort(axis=1)
    return (order_RK < num_shadows // 2).T


@dataclass(frozen=True, eq=False)
class ShadowView:
    """The data of one shadow model.

    The rows of the requests that are in are trained on and, later, forgotten; those of the others
    were never there. Everything else is the same for all shadow models.

    Args:
        full: All requests.
        shadow: Which of the models it is.
        seed: Of the cell; all shadow models of an audit have the same.
    """

    full: Chain
    shadow: Shadow
    seed: int

    @cached_property
    def member_R(self) -> np.ndarray:
        """bool, shape ``(R,)``: True for the requests that are in."""
        return membership(len(self.full), self.shadow.count, self.seed)[self.shadow.index]

    @cached_property
    def chain(self) -> Chain:
        """The requests that are in, with their places in the full chain as ids.

        Raises:
            ScenarioError: There are none, or all are in.
        """
        if self.member_R.all() or not self.member_R.any():
            raise ScenarioError(
                f"the chain has {len(self.full)} requests, too few for the {self.shadow.count} "
                "shadow models of an audit, each of which needs some that are in and some that "
                "are out; take a larger fraction, or leave the audit out"
            )
        inside = zip(self.full.requests, self.member_R, strict=True)
        return replace(self.full, requests=tuple(r for r, is_in in inside if is_in))

    def seen(self, interactions: Interactions) -> Interactions:
        """``interactions`` without the rows of the requests that are out."""
        outside = zip(self.full.requests, self.member_R, strict=True)
        rows = [request.rows for request, is_in in outside if not is_in]
        return interactions.without(np.concatenate(rows)) if rows else interactions
