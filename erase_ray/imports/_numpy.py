"""NumPy numbers and arrays of plain types, rebuilt from their bytes."""

import math
from typing import Any

import numpy as np

from erase_ray.imports._limits import Budget
from erase_ray.imports._values import Box

PLAIN = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"b1", "f2", "f4", "f8"}
"""Number types that are read; texts, times, records and Python objects are not."""
ARRAY = "numpy.ndarray"


def dtype(arguments: tuple[Any, ...], budget: Budget) -> Box:
    """A number type, whose byte order comes afterwards."""
    code = arguments[0] if arguments else None
    if not isinstance(code, str) or code not in PLAIN:
        raise ValueError(f"numpy.dtype {str(code)[:20]!r} is none of {', '.join(sorted(PLAIN))}")

    def fill(state: Any) -> np.dtype:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise ValueError("a number type with fields")
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"byte order {str(order)[:20]!r}")
        return np.dtype(code).newbyteorder("<" if order == "|" else order)

    return Box(fill)


def scalar(arguments: tuple[Any, ...], budget: Budget) -> np.generic:
    """One number."""
    kind, data = _dtype(arguments[0]), _raw(arguments[1])
    if len(data) != kind.itemsize:
        raise ValueError(f"a number of {len(data)} bytes, expected {kind.itemsize}")
    return np.frombuffer(data, kind)[0]


def reconstruct(arguments: tuple[Any, ...], budget: Budget) -> Box:
    """An array that is filled afterwards."""
    if getattr(arguments[0], "name", None) != ARRAY:
        raise ValueError("an array of a class of its own")

    def fill(state: Any) -> np.ndarray:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array without content")
        shape, kind, fortran, data = state[-4:]
        if not isinstance(fortran, bool):
            raise ValueError("the order of an array")
        return _array(_raw(data), _dtype(kind), shape, "F" if fortran else "C")

    return Box(fill)


def from_buffer(arguments: tuple[Any, ...], budget: Budget) -> np.ndarray:
    """An array of protocol 5."""
    data, kind, shape, order = arguments
    if order not in ("C", "F"):
        raise ValueError(f"order {str(order)[:20]!r} of an array")
    return _array(_raw(data), _dtype(kind), shape, order)


def _array(data: bytes | bytearray, kind: np.dtype, shape: Any, order: Any) -> np.ndarray:
    is_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"an array of shape {str(shape)[:80]} from {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape, order=order)


def _dtype(kind: Any) -> np.dtype:
    if not isinstance(kind, np.dtype):
        raise ValueError("an array without a number type")
    return kind


def _raw(data: Any) -> bytes | bytearray:
    if isinstance(data, str):  # of Python 2
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("an array of Python objects")
    return data
