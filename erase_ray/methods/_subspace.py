"""The part of a parameter space that some batches can move."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erase_ray.methods._undo import Undo
from erase_ray.models import Model
from erase_ray.models._narrow import Narrow


@dataclass(frozen=True, eq=False)
class _Table:
    """A table that is narrowed: some of its places, and the leaf that stands for them."""

    module: Narrow
    places: Tensor
    leaf: Tensor


@dataclass(frozen=True, eq=False)
class Subspace:
    """What to differentiate with respect to, and what a flat vector over it means.

    Args:
        named: By the names of the parameters: the parameter itself, or for tables of which few
            places are read a leaf tensor with the values at those places.
        places: The places of each narrowed table, ascending, int64.
    """

    named: dict[str, Tensor]
    places: dict[str, Tensor]

    @property
    def leaves(self) -> list[Tensor]:
        """What autograd and optimisers work on, in the order of the parameters."""
        return list(self.named.values())

    @property
    def size(self) -> int:
        """P, the number of entries."""
        return sum(leaf.numel() for leaf in self.leaves)

    def split(self, vector_P: Tensor) -> dict[str, Tensor]:
        """A flat vector, shape ``(P,)``, as pieces shaped like the leaves."""
        pieces = vector_P.split([leaf.numel() for leaf in self.leaves])
        pairs = zip(self.named.items(), pieces, strict=True)
        return {name: piece.view_as(leaf) for (name, leaf), piece in pairs}

    @torch.no_grad()
    def add(self, step_P: Tensor, factor: float = 1.0) -> None:
        """Move along a flat vector, in place."""
        for name, piece in self.split(step_P).items():
            self.named[name].add_(piece, alpha=factor)


@contextmanager
def subspace(
    model: Model,
    parameters: Mapping[str, nn.Parameter],
    batches: Iterable[Any],
    undo: Undo | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> Iterator[Subspace]:
    """Restrict tables to the places that ``batches`` read, for the time of the block.

    Losses of those batches have the same values, gradients, second derivatives and Adam steps (of
    an optimiser that starts inside) as on whole tables; all else that reads a table fails. At the
    end of the block, also after an error, the leaves are written into the tables.

    Args:
        model: Losses are computed once without gradients, to see what they read.
        parameters: What may be changed; the others are read as they are.
        batches: All that will be evaluated inside.
        undo: Told what the block may change.
        extra: Further places of tables, by parameter; distinct, int64.
    """
    tables = _narrowed(model, parameters, batches, extra or {})
    named: dict[str, Tensor] = {}
    for name, weight in parameters.items():
        table = tables.get(name)
        named[name] = table.leaf if table else weight
        if undo is not None and table:
            undo.keep(table.module.flat, table.places)
        elif undo is not None:
            undo.keep(weight)
    try:
        for table in tables.values():
            table.module.narrow(table.places, table.leaf)
        yield Subspace(named, {name: table.places for name, table in tables.items()})
    finally:
        for table in tables.values():
            table.module.widen()
            with torch.no_grad():
                table.module.flat.index_copy_(0, table.places, table.leaf.detach())


def _narrowed(
    model: Model,
    parameters: Mapping[str, nn.Parameter],
    batches: Iterable[Any],
    extra: Mapping[str, Tensor],
) -> dict[str, _Table]:
    modules = {
        name: module
        for name in parameters
        if isinstance(module := model.get_submodule(name.rpartition(".")[0]), Narrow)
    }
    found: dict[str, _Table] = {}
    for name, places in _read_places(model, modules, batches).items():
        if name in extra:
            places = torch.unique(torch.cat([places, extra[name]]))
        leaf = modules[name].flat.detach().index_select(0, places)
        found[name] = _Table(modules[name], places, leaf.requires_grad_())
    return found


def _read_places(
    model: Model, modules: Mapping[str, Narrow], batches: Iterable[Any]
) -> dict[str, Tensor]:
    """Places of the tables that are read at some places only; without batches there are none."""
    if not modules:
        return {}
    for module in modules.values():
        module.record()
    try:
        with torch.no_grad():
            for batch in batches:
                model.loss(batch)
    finally:
        found = {name: module.recorded() for name, module in modules.items()}
    return {name: places for name, places in found.items() if places is not None}
