"""Finding tensors by their shapes and parts of their names, where names are not known."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from erase_ray.imports._mapping import Shapes
from erase_ray.imports.errors import ForeignFileError

Wanted = Callable[[dict[str, tuple[int, ...]]], bool]
"""Whether the tensors of a module, by their last name, are those of a kind of layer."""


@dataclass(frozen=True)
class Modules:
    """The tensors of a model by the module that they belong to.

    Args:
        model: For errors.
        parts: Shapes by last name, by name of the module.
        given: Names of their modules by name of ours, as the user states them.
    """

    model: str
    parts: dict[str, dict[str, tuple[int, ...]]]
    given: Mapping[str, str]

    @classmethod
    def of(cls, model: str, shapes: Shapes, given: Mapping[str, str]) -> "Modules":
        """From the shapes of all tensors."""
        parts: dict[str, dict[str, tuple[int, ...]]] = {}
        for name, shape in shapes.items():
            module, _, leaf = name.rpartition(".")
            parts.setdefault(module, {})[leaf] = shape
        return cls(model, parts, given)

    def all(self, wanted: Wanted) -> list[str]:
        """Modules of a kind, in natural order of their names."""
        found = [name for name, leaves in self.parts.items() if wanted(leaves)]
        return sorted(found, key=_natural)

    def one(self, ours: str, what: str, wanted: Wanted, *words: str) -> str:
        """The module that is ours.

        Args:
            ours: Name of ours.
            what: Says what is looked for.
            wanted: Its kind.
            words: One of them is in its name if several are of that kind.

        Raises:
            ForeignFileError: None is of that kind, or several are and the words do not tell.
        """
        if ours in self.given:
            return self.given[ours]
        found = self.all(wanted)
        if len(found) > 1:
            named = [name for name in found if any(word in name.lower() for word in words)]
            found = named if len(named) == 1 else found
        if len(found) == 1:
            return found[0]
        seen = ", ".join(found) or "none"
        raise ForeignFileError(
            f"{self.model}: which is {ours} ({what})? Of that shape: {seen}. Say which with "
            f"--name {ours}=THEIRS"
        )


def weight_of(*shape: int, bias: bool | None = None) -> Wanted:
    """A layer or table whose weight has a shape; with or without a bias if that is said."""

    def is_it(leaves: dict[str, tuple[int, ...]]) -> bool:
        has_bias = "bias" in leaves
        return (
            leaves.get("weight") == shape
            and "running_mean" not in leaves
            and (bias is None or has_bias == bias)
        )

    return is_it


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
