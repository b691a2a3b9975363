"""What models have in common that turn a window of a session into one vector."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from erase_ray.models._base import Model, Shape
from erase_ray.models._cross_entropy import linear_cross_entropy
from erase_ray.models._sharded import products, shard_of
from erase_ray.tasks._batches import WindowBatch


class SessionModel(Model):
    """Scores are the products of a window's vector with the vectors of all items.

    The item table is the input and the output layer. Settings have ``embedding_size`` and
    ``max_length``.
    """

    task = "session_based"

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.item_embedding = nn.Embedding(shape.num_items, settings.embedding_size)

    @property
    def max_history(self) -> int:
        """Longest window, in items."""
        return self.settings.max_length

    @abstractmethod
    def session(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The vector of each window, shape ``(B, D)``, and the table to compare it with.

        Only items before the end of a window are read. The table is the item table, from
        :func:`erase_ray.models._tied.tied`.
        """

    def loss(self, batch: WindowBatch) -> Tensor:
        """Cross entropy of the target among all items, shape ``(B,)``."""
        assert batch.target_B is not None
        session_BD, table_ID = self.session(batch)
        shard = shard_of(table_ID)
        if shard is not None:
            return shard.cross_entropy(session_BD, batch.target_B)
        return linear_cross_entropy(session_BD, table_ID, batch.target_B)

    def scores(self, batch: WindowBatch) -> Tensor:
        """Logits of all items, shape ``(B, I)``."""
        session_BD, table_ID = self.session(batch)
        return products(session_BD, table_ID)

    def represent(self, batch: WindowBatch) -> Tensor:
        """The vector of each window, shape ``(B, D)``."""
        return self.session(batch)[0]

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The item table, which is the output layer as well."""
        return self.item_tables()

    def row_tables(self) -> dict[str, nn.Parameter]:
        """The item table."""
        return self.item_tables()

    def item_tables(self) -> dict[str, nn.Parameter]:
        """The item table."""
        return self.pick("item_embedding.weight")
