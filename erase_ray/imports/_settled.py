"""A last look at a value that was read: plain all through, of bounded depth, and not a maze."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from erase_ray.imports._limits import Limits
from erase_ray.imports._values import Inert, InertClass
from erase_ray.imports.errors import ForeignFileError

ATOMS = (
    *(str, bytes, bytearray, int, float, bool, complex, type(None)),
    *(torch.Tensor, torch.Size, torch.device, torch.dtype, np.ndarray, np.generic, InertClass),
)
CONTAINERS = frozenset({list, tuple, dict, OrderedDict, set, frozenset, Inert})
LEAST_UNFOLDED = 1_000_000


@dataclass
class _Frame:
    """A container whose parts are looked at."""

    value: Any
    parts: list[Any]
    place: int = 0
    depth: int = 0
    size: int = 1


def check(name: str, value: Any, limits: Limits) -> None:
    """Raise unless the value is what readers of plain containers can walk over.

    Shared parts are looked at once, so the time is that of what is stored; what a walk would
    meet without knowing of the sharing is counted.

    Raises:
        ForeignFileError: A part is none of the admitted kinds, contains itself, lies too deep, or
            is shared so often that a walk would not end.
    """
    known: dict[int, tuple[int, int]] = {}
    open_ids: set[int] = set()
    frames: list[_Frame] = [_Frame(None, [value])]
    stored = 0
    while frames:
        frame = frames[-1]
        if frame.place == len(frame.parts):
            frames.pop()
            open_ids.discard(id(frame.value))
            known[id(frame.value)] = (frame.depth + 1, frame.size)
            if frames:
                _add(frames[-1], known[id(frame.value)])
            if frame.depth > limits.depth or len(frames) > limits.depth + 1:
                raise ForeignFileError(f"{name} has more than {limits.depth} levels")
            continue
        part = frame.parts[frame.place]
        frame.place += 1
        stored += 1
        if type(part) not in CONTAINERS:
            if not isinstance(part, ATOMS):
                shown = getattr(part, "name", type(part).__name__)
                raise ForeignFileError(f"{name} holds '{shown}' as a value; expected plain data")
            frame.size += 1
        elif id(part) in known:
            _add(frame, known[id(part)])
        elif id(part) in open_ids:
            raise ForeignFileError(f"{name} holds a container that contains itself")
        elif len(frames) > limits.depth + 1:
            raise ForeignFileError(f"{name} has more than {limits.depth} levels")
        else:
            open_ids.add(id(part))
            frames.append(_Frame(part, _parts(part)))
    _, unfolded = known[id(None)]
    if unfolded > max(LEAST_UNFOLDED, limits.unfolding * stored):
        raise ForeignFileError(
            f"{name} repeats its parts until they are {unfolded:.3g} values; it is made to fill "
            "the memory of whoever walks over it"
        )


def _add(frame: _Frame, part: tuple[int, int]) -> None:
    depth, size = part
    frame.depth, frame.size = max(frame.depth, depth), frame.size + size


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, Inert):
        return [value.arguments, value.state]
    return list(value)
