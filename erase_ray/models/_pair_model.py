"""What models have in common that compare the vector of a user with those of items."""

from typing import Any, ClassVar

from torch import nn

from erase_ray.models._base import Model, Shape, TrainingSettings
from erase_ray.models._narrow import RowTable


class PairModel(Model):
    """A table of users and a table of items; settings have ``embedding_size``."""

    task = "cf"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=100, batch_size=2048, patience=10, select_metric="recall", select_k=20
    )

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.user_embedding = RowTable(shape.num_users, settings.embedding_size)
        self.item_embedding = RowTable(shape.num_items, settings.embedding_size)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The user table."""
        return self.user_tables()

    def user_tables(self) -> dict[str, nn.Parameter]:
        """The user table."""
        return self.pick("user_embedding.weight")

    def item_tables(self) -> dict[str, nn.Parameter]:
        """The item table."""
        return self.pick("item_embedding.weight")
