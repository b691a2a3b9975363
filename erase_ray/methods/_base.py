"""The contract of a method."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import nn

from erase_ray.methods._request import Request
from erase_ray.models import Model
from erase_ray.registry import Registry
from erase_ray.settings import Frozen

METHODS: "Registry[Method]" = Registry("method", "erase_ray.methods")

Status = Literal["applied", "skipped", "timed_out", "non_finite", "empty"]


@dataclass(frozen=True)
class Outcome:
    """What happened to a request.

    Args:
        status: Only ``applied`` may leave the weights changed; the chain runner restores them
            after any other.
        reason: Why nothing, or less than everything, was done.
        num_gradients: Gradients of mini-batches that were computed.
        num_hvps: Hessian-vector products of mini-batches that were computed.
        details: Further numbers a method wants to keep, by name.
    """

    status: Status
    reason: str = ""
    num_gradients: int = 0
    num_hvps: int = 0
    details: dict[str, float] = field(default_factory=dict)


class Method(ABC):
    """Serves one request on a trained model."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs_base: ClassVar[bool] = True
    """False for methods that train anew, which then get one merged request a mark."""

    class Settings(Frozen):
        """Settings of the method."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The parameters that :meth:`forget` may change, by name; all of them by default.

        The chain runner keeps copies of these alone, and freezes the others.
        """
        return dict(model.named_parameters())

    @abstractmethod
    def forget(self, model: Model, request: Request) -> Outcome:
        """Serve ``request``: edit ``model`` in place and say what happened."""
