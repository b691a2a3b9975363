"""What models have in common that are counted or solved for, not trained."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from erase_ray.models._base import Model, TrainingSettings


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The training rows that are left, in the order of the table; all int64, shape ``(N,)``.

    Args:
        user_N: Whose row it is.
        sequence_N: User, session or user, by task.
        step_N: Place in the sequence; rows of one basket share it.
        item_N: What was chosen.
        time_N: Seconds.
    """

    user_N: Tensor
    sequence_N: Tensor
    step_N: Tensor
    item_N: Tensor
    time_N: Tensor

    def __len__(self) -> int:
        return len(self.item_N)

    def of(self, is_meant_N: Tensor) -> "TrainingRows":
        """Some of the rows, by a bool a row."""
        return TrainingRows(*(column_N[is_meant_N] for column_N in vars(self).values()))


class Baseline(Model):
    """A model that :meth:`fit` makes from the training rows in one pass.

    It has no parameters, so methods that follow gradients cannot serve it; what it learns lives in
    buffers, whose shapes may depend on the rows: loading a state takes them as they come.
    """

    learns: ClassVar[bool] = False
    training: ClassVar[TrainingSettings] = TrainingSettings(epochs=1)

    @abstractmethod
    def fit(self, rows: TrainingRows) -> None:
        """Learn from the training rows; ``reset`` was called and edges, if any, are set."""

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """Take training rows out again, as if :meth:`fit` had never seen them.

        Edges still hold the rows; the caller drops them afterwards.

        Args:
            rows: All of them were learned from.
            left: What the people of these rows still have.

        Returns:
            Figures for the record, such as ``step_norm``: the Euclidean norm of the change.
        """
        raise NotImplementedError(f"model '{self.name}' cannot take rows out again")

    def reset(self, generator: torch.Generator) -> None:
        """Nothing is drawn unless a subclass does."""

    def loss(self, batch: Any) -> Tensor:
        """Zeros on the device of the batch: nothing is trained; shape ``(B,)``."""
        tensors = (value for value in vars(batch).values() if isinstance(value, Tensor))
        return torch.zeros(len(batch), device=next(tensors).device)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """None."""
        return {}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.shape != buffer.shape:
                self.register_buffer(name, stored.new_empty(stored.shape, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
