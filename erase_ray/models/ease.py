"""A linear model of items from items, solved in closed form."""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from erase_ray.errors import TrainingError
from erase_ray.models._base import MODELS, Shape
from erase_ray.models._baseline import TrainingRows
from erase_ray.models._own_items import OwnItems, OwnItemsBaseline
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import PairBatch


@MODELS.register
class Ease(OwnItemsBaseline):
    """Scores are X B, with the B of zero diagonal that reconstructs X best under an L2 penalty.

    With P = (X'X + l2 I)^-1 that is B_ij = -P_ij / P_jj. X holds the counts of users and items.

    Paper: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    Differs from it: nothing; the inverse is taken in float64 and kept in float32.
    Cost: 2/3 I^3 multiplications and 16 I^2 bytes to fit, 4 I^2 bytes to keep.
    """

    class Settings(Frozen):
        """Settings of `Ease`."""

        l2: float = Field(default=250.0, gt=0)
        """Weight of the penalty."""
        max_items: int = Field(default=30_000, ge=1)
        """Largest catalogue that is fitted: 16 bytes a pair of items are needed for it."""

    weight_II: Tensor

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        size = shape.num_items if shape.num_items <= settings.max_items else 0
        self.register_buffer("weight_II", torch.zeros(size, size))

    def fit(self, rows: TrainingRows) -> None:
        """Solve for B.

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
        inverse_II = _inverse(self._gram(rows))
        inverse_II /= -inverse_II.diagonal().clone()
        inverse_II.fill_diagonal_(0)
        self.weight_II.copy_(inverse_II)

    def _gram(self, rows: TrainingRows) -> Tensor:
        """X'X + l2 I, float64."""
        num_items = self.shape.num_items
        own = OwnItems(rows.user_N, rows.item_N, num_items)
        gram_II = torch.zeros(num_items, num_items, dtype=torch.float64, device=rows.item_N.device)
        for item_C, other_C, joint_C in own.joint_counts():
            gram_II[item_C, other_C] = joint_C
        gram_II.diagonal().add_(self.settings.l2)
        return gram_II

    def scores(self, batch: PairBatch) -> Tensor:
        """Sums of the rows of B of the items that each user has, shape ``(B, I)``."""
        own = self.own.of(batch.user_B)
        return functional.embedding_bag(
            own.item_M,
            self.weight_II,
            own.length_B.cumsum(0) - own.length_B,
            mode="sum",
            per_sample_weights=own.count_M.to(self.weight_II.dtype),
        )


def _inverse(matrix_II: Tensor) -> Tensor:
    """The inverse of a symmetric matrix above 0; one more matrix is needed for it."""
    factor_II = torch.linalg.cholesky(matrix_II)
    del matrix_II
    return torch.cholesky_inverse(factor_II)
