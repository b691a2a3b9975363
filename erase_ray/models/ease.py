"""A linear model of items from items, solved in closed form."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from erase_ray import seeds
from erase_ray.errors import TrainingError
from erase_ray.models._base import MODELS, Shape
from erase_ray.models._baseline import TrainingRows
from erase_ray.models._downdate import GramChange
from erase_ray.models._own_items import OwnItems, OwnItemsBaseline
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import PairBatch

ROWS_AT_ONCE = 256
"""Rows of B that are made at once."""
WIDEST_CHANGE = 1 / 4
"""Rank of a change, as a share of the items, from which on fitting again is cheaper."""


@MODELS.register
class Ease(OwnItemsBaseline):
    """Scores are X B, with the B of zero diagonal that reconstructs X best under an L2 penalty.

    With P = (X'X + l2 I)^-1 that is B_ij = -P_ij / P_jj. X holds the counts of users and items.

    Paper: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    Differs from it: nothing; P is computed and kept in float64, B is made of it in float32 where
    users are scored.
    Cost: I^3 multiplications and 16 I^2 bytes to fit, 8 I^2 bytes to keep, 4 I^2 more to score.
    Rows of R users, or of R items, are taken out in 12 R I^2 multiplications.
    """

    class Settings(Frozen):
        """Settings of `Ease`."""

        l2: float = Field(default=250.0, gt=0)
        """Weight of the penalty."""
        max_items: int = Field(default=30_000, ge=1)
        """Largest catalogue that is fitted: 16 bytes a pair of items are needed for it."""
        max_error: float = Field(default=1e-9, gt=0)
        """Error of P, as a share of its Frobenius norm, above which it is inverted again when rows
        are taken out. It is estimated from the residual of one random vector."""

    inverse_II: Tensor

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        size = shape.num_items if shape.num_items <= settings.max_items else 0
        self.register_buffer("inverse_II", torch.zeros(size, size, dtype=torch.float64))
        self._weight_II: Tensor | None = None

    def fit(self, rows: TrainingRows) -> None:
        """Solve for P.

        Raises:
            TrainingError: The catalogue is larger than ``max_items``.
        """
        num_items, most = self.shape.num_items, self.settings.max_items
        if num_items > most:
            raise TrainingError(
                f"model 'ease' needs {16e-9 * num_items**2:.1f} GB of memory for {num_items} "
                f"items, and is set to max_items={most} ({16e-9 * most**2:.1f} GB); raise "
                "max_items where there is that much"
            )
        self._solve(OwnItems(rows.user_N, rows.item_N, num_items))

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """Down-date P, or invert again where that is cheaper or errors have added up.

        Returns:
            ``refitted``, 1 if it was inverted again; and where it was down-dated at first, the
            ``step_norm`` of P and ``error``, the estimated share of error that this left in P.
        """
        change = GramChange.of(rows, left, self.shape.num_items)
        if change.rank > WIDEST_CHANGE * self.shape.num_items:
            self._solve_without(rows)
            return {"refitted": 1.0}
        step_norm = change.update(self.inverse_II)
        error = self._error(change)
        is_bad = not error <= self.settings.max_error
        if is_bad:
            self._solve_without(rows)
        return {"step_norm": step_norm, "error": error, "refitted": float(is_bad)}

    def _solve(self, own: OwnItems) -> None:
        # its memory is needed
        self.inverse_II = self.inverse_II.new_zeros(0, 0)
        self.inverse_II = _inverse(self._gram(own))

    def _solve_without(self, rows: TrainingRows) -> None:
        self.drop_edges(rows.user_N, rows.item_N)
        self._solve(self.own)
        self.restore_edges(rows.user_N, rows.item_N)

    def _gram(self, own: OwnItems) -> Tensor:
        """X'X + l2 I, float64."""
        num_items = self.shape.num_items
        gram_II = self.inverse_II.new_zeros(num_items, num_items)
        for item_C, other_C, joint_C in own.joint_counts():
            gram_II[item_C, other_C] = joint_C
        gram_II.diagonal().add_(self.settings.l2)
        return gram_II

    def _error(self, change: GramChange) -> float:
        """Estimate of the share of error in P, after ``change``.

        For v of random signs the mean of |(P - G^-1) v|^2 is the square of the Frobenius norm of
        the error; G^-1 (v - G P v) is that vector up to its sign, P stands for G^-1.
        """
        item_I = torch.arange(self.shape.num_items, device=self.inverse_II.device)
        sign_I = (seeds.hash_ids(seeds.derive(0, "ease"), item_I) & 1).double() * 2 - 1
        answer_I = self.inverse_II @ sign_I
        gram_I = self.own.gram_times(answer_I) + self.settings.l2 * answer_I
        error_I = self.inverse_II @ (sign_I - gram_I - change.times(answer_I))
        return float(error_I.norm() / answer_I.norm())

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Inside, B is there in float32."""
        self._weight_II = self.weights()
        try:
            yield
        finally:
            self._weight_II = None

    def weights(self) -> Tensor:
        """B, float32, shape ``(I, I)``."""
        negative_I = -self.inverse_II.diagonal()
        weight_II = torch.empty_like(self.inverse_II, dtype=torch.float32)
        for start in range(0, len(weight_II), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            torch.div(self.inverse_II[part], negative_I, out=weight_II[part])
        return weight_II.fill_diagonal_(0)

    def scores(self, batch: PairBatch) -> Tensor:
        """Sums of the rows of B of the items that each user has, shape ``(B, I)``."""
        weight_II = self.weights() if self._weight_II is None else self._weight_II
        own = self.own.of(batch.user_B)
        return functional.embedding_bag(
            own.item_M,
            weight_II,
            own.length_B.cumsum(0) - own.length_B,
            mode="sum",
            per_sample_weights=own.count_M.to(weight_II.dtype),
        )


def _inverse(matrix_II: Tensor) -> Tensor:
    """The inverse of a symmetric matrix above 0; one more matrix is needed for it."""
    factor_II = torch.linalg.cholesky(matrix_II)
    del matrix_II
    # one half mirrored, so its transpose is the same; and that is contiguous
    return torch.cholesky_inverse(factor_II).T.contiguous()
