"""What a request changed, so that it can be undone and measured."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class _Kept:
    weight: Tensor
    places: Tensor | None
    values: Tensor

    def now(self) -> Tensor:
        return self.weight if self.places is None else self.weight.index_select(0, self.places)

    def restore(self) -> None:
        if self.places is None:
            self.weight.copy_(self.values)
        else:
            self.weight.index_copy_(0, self.places, self.values)


class Undo:
    """Values of weights before they are changed.

    Time and memory go with what is kept, so a method that names the few rows it changes costs the
    same however long the tables are.
    """

    def __init__(self) -> None:
        self._kept: dict[int, list[_Kept]] = {}

    @torch.no_grad()
    def keep(self, weight: Tensor, places: Tensor | None = None) -> None:
        """Remember ``weight`` as it is now; to be called before it is changed in place.

        What was kept already stays as it was then.

        Args:
            weight: A parameter or buffer, or a view of one.
            places: Distinct entries of its first dimension, int64; all of it by default.
        """
        kept = self._kept.setdefault(weight.data_ptr(), [])
        before = [one.places for one in kept]
        if any(old is None for old in before):
            return
        flat = kept[0].weight if kept else weight.detach()
        if kept:
            assert places is None or weight.shape == flat.shape
            known = torch.cat([old for old in before if old is not None])
            if places is None:
                places = torch.arange(len(flat), device=flat.device)
            places = places[~torch.isin(places, known)]
        values = flat.clone() if places is None else flat.index_select(0, places)
        kept.append(_Kept(flat, places, values))

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for one in self._all():
            one.restore()

    @torch.no_grad()
    def distance(self) -> float:
        """Euclidean norm of the change of all that is kept."""
        squares = [(one.now() - one.values).double().square().sum() for one in self._all()]
        return math.sqrt(float(torch.stack(squares).sum())) if squares else 0.0

    @torch.no_grad()
    def finite(self) -> bool:
        """Whether all that is kept is finite now."""
        checks = [torch.isfinite(one.now()).all() for one in self._all()]
        return bool(torch.stack(checks).all()) if checks else True

    def _all(self) -> list[_Kept]:
        return [one for kept in self._kept.values() for one in kept]
