"""What a map of a model says: which tensor is which, and what the settings are read from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Shapes = dict[str, tuple[int, ...]]
"""Shape of each tensor by name."""
Form = Literal["same", "users", "items", "item pairs", "item column", "first rows"]
"""``users`` and ``items``: the row of the padding is left out, the others may be put in another
order. ``item pairs``: the same with rows and columns. ``item column``: the same of a matrix with
one column, which becomes a vector. ``first rows``: as many as ours has."""


@dataclass(frozen=True)
class Take:
    """One tensor of ours.

    Args:
        ours: Its name.
        theirs: The name of theirs.
        form: What is done to it.
    """

    ours: str
    theirs: str
    form: Form = "same"


@dataclass(frozen=True)
class Size:
    """A setting that is the size of a tensor of theirs.

    Args:
        setting: Its name.
        theirs: The tensor.
        dimension: Which of its sizes.
    """

    setting: str
    theirs: str
    dimension: int


@dataclass(frozen=True)
class Told:
    """A setting that no shape shows; the recorded configuration tells it.

    Args:
        setting: Its name.
        key: Its name in the configuration.
        scores: Whether scores depend on it, and not the training alone.
        change: From their value to ours.
    """

    setting: str
    key: str
    scores: bool = False
    change: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Must:
    """What the configuration must say if it says anything, as ours has no setting for it."""

    key: str
    value: Any


@dataclass(frozen=True)
class Found:
    """Tensors that were found by their shapes and parts of their names.

    Args:
        tensors: Which is which.
        sizes: Settings that the shapes show.
        notes: For people.
    """

    tensors: tuple[Take, ...]
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelMap:
    """The map of a model.

    Args:
        model: Name of ours.
        theirs: Name of their class.
        tensors: Which is which, from the shapes of theirs.
        item_table: Their tensor with one row an item and the padding.
        user_table: The same for users; empty where the model has none.
        sizes: Settings that shapes show.
        told: Settings that the configuration tells.
        musts: What it must say.
        always: Settings that theirs has no choice about.
        search: For models whose names of tensors are not known; takes shapes and the names that a
            user gives, and stands in the place of ``tensors`` and ``sizes``.
        optional: Tensors of ours that theirs need not have, with the value that they get then.
    """

    model: str
    theirs: str
    tensors: Callable[[Shapes], tuple[Take, ...]] = lambda shapes: ()
    item_table: str = "item_embedding.weight"
    user_table: str = ""
    sizes: tuple[Size, ...] = ()
    told: tuple[Told, ...] = ()
    musts: tuple[Must, ...] = ()
    always: tuple[tuple[str, Any], ...] = ()
    search: Callable[[Shapes, Mapping[str, str]], Found] | None = None
    optional: tuple[tuple[str, float], ...] = ()


def fixed(*takes: Take) -> Callable[[Shapes], tuple[Take, ...]]:
    """Tensors whose names do not depend on anything."""
    return lambda shapes: takes


def same(*names: str) -> tuple[Take, ...]:
    """Tensors with one name in both."""
    return tuple(Take(name, name) for name in names)


def layer(ours: str, theirs: str) -> tuple[Take, Take]:
    """Weight and bias of a layer."""
    return tuple(Take(f"{ours}.{part}", f"{theirs}.{part}") for part in ("weight", "bias"))  # type: ignore


ITEMS = Take("item_embedding.weight", "item_embedding.weight", "items")
USERS = Take("user_embedding.weight", "user_embedding.weight", "users")
WIDTH = Size("embedding_size", "item_embedding.weight", 1)
WINDOW = Told("max_length", "MAX_ITEM_LIST_LENGTH")
