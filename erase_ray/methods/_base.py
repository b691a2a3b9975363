"""The contract of a method."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from erase_ray.methods._request import Request, World
from erase_ray.models import Model
from erase_ray.registry import Registry
from erase_ray.settings import Frozen

METHODS: "Registry[Method]" = Registry("method", "erase_ray.methods", has_editions=True)

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
    """Whether it starts from the base model; False for methods that train their own."""
    per_mark: ClassVar[bool] = False
    """True for methods that get all requests up to a mark as one, and a cell a mark."""
    serves_baselines: ClassVar[bool] = False
    """Whether it serves models without weights to train, which are fitted in one pass."""
    serves_learning: ClassVar[bool] = True
    """Whether it serves models that learn by gradients."""
    keeps_track: ClassVar[bool] = False
    """True where :meth:`forget` tells ``request.undo`` what it is about to change, weights and
    buffers; for the others all of :meth:`changes` and all buffers are copied beforehand."""

    class Settings(Frozen):
        """Settings of the method."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The parameters that :meth:`forget` may change, by name; all of them by default.

        The chain runner freezes the others.
        """
        return dict(model.named_parameters())

    def build(self, make: Callable[[], Model]) -> Model:
        """The model that is served where :attr:`needs_base` is False; one of ``make()``."""
        return make()

    def begin(self, model: Model, world: World) -> dict[str, Tensor]:
        """What is done once before the first request of a chain, such as training.

        Returns:
            What ``request.state`` holds at the first request.
        """
        return {}

    @abstractmethod
    def forget(self, model: Model, request: Request) -> Outcome:
        """Serve ``request``: edit ``model`` in place and say what happened."""
