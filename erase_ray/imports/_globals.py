"""Which globals a pickle may name, and what takes their place.

No module is imported and no attribute looked up on behalf of a file: a name is either in the table
below, or belongs to RecBole and becomes an inert record, or is refused.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from erase_ray.imports import _numpy, _tensors
from erase_ray.imports._limits import Budget
from erase_ray.imports._machine import WAY_OUT
from erase_ray.imports._values import Call, InertClass
from erase_ray.imports.errors import ForeignFileError

ENTRY_BYTES = 100
"""About what an entry of a set or dictionary takes."""
INERT_PACKAGE = "recbole"
INERT_NAMES = frozenset({"yaml.loader.FullLoader"})
"""What else the configuration inside a checkpoint of RecBole names."""
DTYPES = {
    f"torch.{name}": getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8"),
        *("uint8", "bool", "complex64", "complex128"),
    )
}


def finder(name: str, load_storage: Callable[[bytes, Budget], Any]) -> Callable[[str, str], Any]:
    """What stands for the globals of a file.

    Args:
        name: Of the file, for errors.
        load_storage: Reads the storage in a file inside the file.
    """

    def find(module: str, attribute: str) -> Any:
        full = f"{module}.{attribute}"
        if full in DTYPES:
            return DTYPES[full]
        if module in ("torch", "torch.cuda", "torch.storage") and attribute in _tensors.STORAGES:
            return _tensors.StorageKind(_tensors.STORAGES[attribute])
        if full == "torch.storage._load_from_bytes":
            return Call(full, lambda given, budget: load_storage(_one(given, bytes), budget))
        if full in CALLS:
            return Call(full, CALLS[full])
        if module.partition(".")[0] == INERT_PACKAGE or full in INERT_NAMES:
            return InertClass(full)
        raise ForeignFileError(f"{name} asks for '{full}', which is not read: {WAY_OUT}")

    return find


def _one(arguments: tuple[Any, ...], kind: type) -> Any:
    if len(arguments) != 1 or type(arguments[0]) is not kind:
        raise ValueError(f"expected one {kind.__name__}")
    return arguments[0]


def _listed(arguments: tuple[Any, ...], budget: Budget) -> list[Any]:
    """The one list or tuple given, or nothing."""
    if not arguments:
        return []
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple):
        raise ValueError("expected one list")
    budget.charge(ENTRY_BYTES * len(arguments[0]))
    return list(arguments[0])


def _plain(values: list[Any]) -> list[Any]:
    for value in values:
        if type(value) not in (str, bytes, int, float, bool, type(None)):
            raise ValueError(f"a {type(value).__name__} in a set")
        if type(value) is int and value.bit_length() > 64:
            raise ValueError("a very long integer in a set")
    return values


def _set(arguments: tuple[Any, ...], budget: Budget) -> set[Any]:
    return set(_plain(_listed(arguments, budget)))


def _frozenset(arguments: tuple[Any, ...], budget: Budget) -> frozenset[Any]:
    return frozenset(_plain(_listed(arguments, budget)))


def _ordered(arguments: tuple[Any, ...], budget: Budget) -> OrderedDict[Any, Any]:
    pairs = _listed(arguments, budget)
    if any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("expected pairs")
    _plain([pair[0] for pair in pairs])
    budget.charge(4 * ENTRY_BYTES)
    return OrderedDict(pairs)


def _encoded(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    """The bytes of protocols before 3, which travel as text."""
    text, encoding = arguments
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("expected a text in latin1")
    budget.charge(len(text))
    return text.encode("latin-1")


def _bytes(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    if arguments:
        budget.charge(len(_one(arguments, bytes)))
    return bytes(arguments[0]) if arguments else b""


def _bytearray(arguments: tuple[Any, ...], budget: Budget) -> bytearray:
    return bytearray(_bytes(arguments, budget))


def _complex(arguments: tuple[Any, ...], budget: Budget) -> complex:
    real, imaginary = arguments
    if type(real) is not float or type(imaginary) is not float:
        raise ValueError("expected two numbers")
    return complex(real, imaginary)


def _size(arguments: tuple[Any, ...], budget: Budget) -> torch.Size:
    numbers = _one(arguments, tuple)
    if len(numbers) > _tensors.MOST_DIMENSIONS or any(type(n) is not int for n in numbers):
        raise ValueError("expected whole numbers")
    return torch.Size(numbers)


def _device(arguments: tuple[Any, ...], budget: Budget) -> torch.device:
    kind, *index = arguments
    if type(kind) is not str or len(kind) > 20 or any(type(n) is not int for n in index):
        raise ValueError("expected a kind and a number")
    return torch.device(kind, *index)


CALLS: dict[str, Callable[[tuple[Any, ...], Budget], Any]] = {
    "collections.OrderedDict": _ordered,
    "_codecs.encode": _encoded,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _tensors.rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _tensors.rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _tensors.rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _tensors.rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _tensors.rebuild_parameter,
    "numpy.dtype": _numpy.dtype,
    _numpy.ARRAY: _numpy.reconstruct,
}
for _package in ("builtins", "__builtin__"):
    CALLS |= {
        f"{_package}.set": _set,
        f"{_package}.frozenset": _frozenset,
        f"{_package}.bytes": _bytes,
        f"{_package}.bytearray": _bytearray,
        f"{_package}.complex": _complex,
    }
for _package in ("numpy.core", "numpy._core"):
    CALLS |= {
        f"{_package}.multiarray.scalar": _numpy.scalar,
        f"{_package}.multiarray._reconstruct": _numpy.reconstruct,
        f"{_package}.numeric._frombuffer": _numpy.from_buffer,
    }
