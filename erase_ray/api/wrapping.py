"""A PyTorch module of the user's own as a model that can be unlearned."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.api._memory import Memory, numbers, remember
from erase_ray.data.names import Names
from erase_ray.errors import SettingsError
from erase_ray.models import Model, Shape, TrainingSettings
from erase_ray.registry import known_names
from erase_ray.settings import checked
from erase_ray.tasks import TASKS

Function = Callable[[Any, Any], Tensor]
"""Takes the module and a batch."""
_PREFIX = "module."


@dataclass(frozen=True, eq=False)
class Blueprint:
    """What stands for the settings of a wrapped module; names are those of the model."""

    module: nn.Module
    loss: Function
    scores: Function
    represent: Function | None
    reset: Callable[[Any], None] | None
    head: tuple[str, ...]
    user_tables: tuple[str, ...]
    item_tables: tuple[str, ...]
    max_history: int

    def __deepcopy__(self, memo: dict[int, Any]) -> "Blueprint":
        """Itself: copies of a model need no copy of the module that it began with."""
        return self


class Wrapped(Model):
    """A module of the user's own; see :func:`wrap`.

    Args:
        settings: What the module is, and how it is trained and asked; it is copied.
        shape: Sizes of its tables.
    """

    name: ClassVar[str] = "wrapped"
    settings: Blueprint

    def __init__(self, settings: Blueprint, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.module = copy.deepcopy(settings.module)

    @property
    def max_history(self) -> int:
        """As :func:`wrap` was told."""
        return self.settings.max_history

    def reset(self, generator: torch.Generator) -> None:
        """Draw new weights, by ``reset`` or by ``reset_parameters()`` of each part.

        Raises:
            SettingsError: A parameter is in no part that has ``reset_parameters()``.
        """
        seed = int(torch.randint(1 << 62, (), generator=generator))
        with seeds.torch_scope(seed, next(self.module.parameters()).device), torch.no_grad():
            if self.settings.reset is not None:
                self.settings.reset(self.module)
            else:
                self._reset_parts()

    def loss(self, batch: Any) -> Tensor:
        """The training loss of each example, shape ``(B,)``."""
        return self.settings.loss(self.module, batch)

    def scores(self, batch: Any) -> Tensor:
        """The score of every item for each example, shape ``(B, I)``."""
        return self.settings.scores(self.module, batch)

    def represent(self, batch: Any) -> Tensor:
        """The vector of each example that is compared with the items, shape ``(B, D)``.

        Raises:
            SettingsError: :func:`wrap` was not told.
        """
        if self.settings.represent is None:
            raise SettingsError(
                "the method compares vectors of examples, and nothing says which they are: give "
                "wrap(..., represent=FUNCTION of module and batch, shape (B, D))"
            )
        return self.settings.represent(self.module, batch)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """As :func:`wrap` was told."""
        return self.pick(*self.settings.head)

    def user_tables(self) -> dict[str, nn.Parameter]:
        """As :func:`wrap` was told."""
        return self.pick(*self.settings.user_tables)

    def item_tables(self) -> dict[str, nn.Parameter]:
        """As :func:`wrap` was told."""
        return self.pick(*self.settings.item_tables)

    def _reset_parts(self) -> None:
        left = {id(parameter): name for name, parameter in self.module.named_parameters()}
        for part in self.module.modules():
            again = getattr(part, "reset_parameters", None)
            if callable(again):
                again()
                for parameter in part.parameters():
                    left.pop(id(parameter), None)
        if left:
            raise SettingsError(
                f"nothing says how to draw {', '.join(left.values())} anew, which training from "
                "scratch needs: give wrap(..., reset=FUNCTION of the module)"
            )


class WrappedSessions(Wrapped):
    """A module that reads windows of sessions."""

    task: ClassVar[str] = "session_based"


class WrappedBaskets(Wrapped):
    """A module that reads histories of baskets."""

    task: ClassVar[str] = "next_basket"


class WrappedPairs(Wrapped):
    """A module that reads pairs of a user and an item."""

    task: ClassVar[str] = "cf"


_KINDS: dict[str, type[Wrapped]] = {
    kind.task: kind for kind in (WrappedPairs, WrappedSessions, WrappedBaskets)
}


def wrap(
    module: nn.Module,
    *,
    loss: Function,
    scores: Function,
    task: str = "cf",
    head: Sequence[str] = (),
    user_tables: Sequence[str] = (),
    item_tables: Sequence[str] = (),
    num_users: int | None = None,
    num_items: int | None = None,
    users: Sequence[Any] | None = None,
    items: Sequence[Any] | None = None,
    represent: Function | None = None,
    reset: Callable[[Any], None] | None = None,
    max_history: int = 50,
    training: TrainingSettings | Mapping[str, Any] | None = None,
) -> Wrapped:
    """A trained PyTorch module as a model that :func:`erase_ray.unlearn` takes.

    ``loss`` and ``scores`` are called with the module and a batch, whose fields are int64 tensors
    on the device of the module. What a batch holds depends on the task:

    * ``cf``: ``user_B``, ``item_B`` and ``negative_B`` (an item that the user does not have), all
      of shape ``(B,)``; for ``scores`` ``user_B`` alone.
    * ``session_based``: ``items_BL`` (the latest items, oldest first, 0 behind ``length_B``),
      ``length_B`` and ``target_B``.
    * ``next_basket``: flat baskets, see :class:`erase_ray.tasks._batches.BasketBatch`.

    Example::

        >>> import torch
        >>> class Factors(torch.nn.Module):
        ...     def __init__(self, num_users, num_items):
        ...         super().__init__()
        ...         self.user = torch.nn.Embedding(num_users, 8)
        ...         self.item = torch.nn.Embedding(num_items, 8)
        >>> def loss(module, batch):
        ...     user = module.user(batch.user_B)
        ...     gap = module.item(batch.item_B) - module.item(batch.negative_B)
        ...     return torch.nn.functional.softplus(-(user * gap).sum(1))
        >>> def scores(module, batch):
        ...     return module.user(batch.user_B) @ module.item.weight.T
        >>> import erase_ray
        >>> model = erase_ray.wrap(
        ...     Factors(30, 40), loss=loss, scores=scores,
        ...     user_tables=["user.weight"], item_tables=["item.weight"], head=["user.weight"],
        ... )
        >>> model.shape
        Shape(num_users=30, num_items=40)

    Args:
        module: Used as it is, not copied. Its parameters must have second derivatives of the loss
            for the influence methods (no hard switches; dropout is turned off for them).
        loss: ``loss(module, batch)``: the training loss of each example, shape ``(B,)``.
        scores: ``scores(module, batch)``: the score of every item, shape ``(B, I)``.
        task: ``cf``, ``session_based`` or ``next_basket``.
        head: Names of the parameters next to the output, which `scif` moves; all by default.
        user_tables: Names of parameters whose first dimension is the user.
        item_tables: Names of parameters whose first dimension is the item.
        num_users: People; read from ``user_tables`` if there are any.
        num_items: Items; read from ``item_tables`` if there are any.
        users: Outer id of each row of the user tables; without them users must be numbered 0 to
            ``num_users - 1`` in the frame.
        items: Outer id of each row of the item tables.
        represent: ``represent(module, batch)``: the vector of each example that the output
            compares with the items, shape ``(B, D)``, from the input alone; `fanchuan` needs it.
        reset: ``reset(module)`` draws new initial weights; `retrain` and `kookmin` need it unless
            all parts have ``reset_parameters()``.
        max_history: Longest history the module reads, in items or baskets; not for ``cf``.
        training: How the module was trained, for methods that train.

    Raises:
        SettingsError: A name is no parameter, sizes are missing or contradict each other.
        UnknownNameError: There is no such task.
    """
    TASKS.get(task)
    known = dict(module.named_parameters())
    if not known:
        raise SettingsError(f"{type(module).__name__} has no parameters, so nothing to unlearn")
    for name in (*head, *user_tables, *item_tables):
        if name not in known:
            kind = type(module).__name__
            raise SettingsError(
                f"{kind} has no parameter '{name}'.{known_names(name, list(known))}"
            )
    people = _size(known, "user", user_tables, num_users, users)
    things = _size(known, "item", item_tables, num_items, items)
    if things is None or (people is None and task == "cf"):
        what = "item" if things is None else "user"
        raise SettingsError(
            f"how many {what}s the module knows is not clear: give num_{what}s, or name its "
            f"{what}_tables"
        )
    blueprint = Blueprint(
        module=module,
        loss=loss,
        scores=scores,
        represent=represent,
        reset=reset,
        head=_prefixed(head or known),
        user_tables=_prefixed(user_tables),
        item_tables=_prefixed(item_tables),
        max_history=0 if task == "cf" else max_history,
    )
    model = _KINDS[task](blueprint, Shape(people or 0, things))
    model.module = module
    if isinstance(training, Mapping):
        training = checked(TrainingSettings, dict(training), "training")
    remember(model, Memory(_outer(users, people), _outer(items, things), training))
    return model


def _prefixed(names: Any) -> tuple[str, ...]:
    return tuple(f"{_PREFIX}{name}" for name in names)


def _size(
    known: dict[str, nn.Parameter],
    what: str,
    tables: Sequence[str],
    given: int | None,
    outer: Sequence[Any] | None,
) -> int | None:
    """How many users or items there are; None if nothing says so."""
    told = {f"'{name}' has {len(known[name])} rows": len(known[name]) for name in tables}
    told |= {} if given is None else {f"num_{what}s is {given}": given}
    told |= {} if outer is None else {f"{what}s has {len(outer)} ids": len(outer)}
    if len(set(told.values())) > 1:
        raise SettingsError(f"sizes contradict each other: {', '.join(told)}")
    return next(iter(told.values()), None)


def _outer(ids: Sequence[Any] | None, size: int | None) -> Names | None:
    if ids is not None:
        return Names.of([str(each) for each in ids])
    return None if size is None else numbers(size)
