"""What stands for globals and for objects of classes while a pickle is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from erase_ray.imports._limits import Budget


@dataclass(frozen=True)
class Call:
    """A function of this package in the place of a global of the same meaning.

    Args:
        name: The global.
        function: Takes the arguments and the budget.
    """

    name: str
    function: Callable[[tuple[Any, ...], Budget], Any]


@dataclass(frozen=True)
class InertClass:
    """The name of a class or function that is neither imported nor called."""

    name: str


@dataclass(eq=False)
class Inert:
    """What a file says of an object whose class is not known here.

    It has no methods and does nothing; it can be looked at.

    Args:
        name: The class, or the function that would have made it.
        arguments: What it would have been called with.
        state: What it would have been filled with; None if nothing.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(eq=False)
class Box:
    """An array or number type that is made in two steps: named first, filled later."""

    fill: Callable[[Any], Any]
    places: list[int] = field(default_factory=list)
    """Where the memo has it."""

    def filled(self, state: Any) -> Any:
        """What takes its place."""
        return self.fill(state)
