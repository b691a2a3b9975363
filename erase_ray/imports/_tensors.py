"""Tensors from storages, with every size, stride and offset checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from erase_ray.imports._limits import Budget

MOST_DIMENSIONS = 64
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
"""Number type by torch's name of the class of storages."""


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage, as a persistent id names it."""

    dtype: torch.dtype


@dataclass(eq=False)
class Storage:
    """A row of numbers that tensors share.

    Args:
        dtype: Type of the numbers.
        num_bytes: Size.
        load: Reads its bytes.
    """

    dtype: torch.dtype
    num_bytes: int
    load: Callable[[], bytearray]
    _tensor: Tensor | None = field(default=None)

    def values(self, dtype: torch.dtype) -> Tensor:
        """All of it as numbers of a type, one-dimensional; read once."""
        if self._tensor is None:
            data = self.load()
            self._tensor = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0)
        if not self.num_bytes:
            return torch.empty(0, dtype=dtype)
        return self._tensor.view(dtype)


def rebuild_tensor(arguments: tuple[Any, ...], budget: Budget) -> Tensor:
    """The tensor of ``_rebuild_tensor`` and ``_rebuild_tensor_v2``; hooks are left out."""
    storage, offset, size, stride = arguments[:4]
    return _strided(storage, offset, size, stride, None)


def rebuild_tensor_v3(arguments: tuple[Any, ...], budget: Budget) -> Tensor:
    """The tensor of ``_rebuild_tensor_v3``, whose storage has no type of its own."""
    storage, offset, size, stride, _, _, dtype = arguments[:7]
    if not isinstance(dtype, torch.dtype):
        raise ValueError("a tensor without a number type")
    return _strided(storage, offset, size, stride, dtype)


def rebuild_parameter(arguments: tuple[Any, ...], budget: Budget) -> Tensor:
    """The tensor of a parameter."""
    if not isinstance(arguments[0], Tensor):
        raise ValueError("a parameter without a tensor")
    return arguments[0]


def _strided(storage: Any, offset: Any, size: Any, stride: Any, dtype: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    size, stride = _whole(size), _whole(stride)
    if len(size) != len(stride) or len(size) > MOST_DIMENSIONS or not _is_whole(offset):
        raise ValueError(f"a tensor of size {size[:8]} with strides {stride[:8]}")
    dtype = dtype or storage.dtype
    length, rest = divmod(storage.num_bytes, dtype.itemsize)
    num = math.prod(size)
    steps = zip(size, stride, strict=True)
    last = offset + sum((n - 1) * step for n, step in steps) if num else offset - 1
    # a tensor of more numbers than its storage would grow when it is copied
    if rest or num > length or last >= length or offset > length:
        raise ValueError(
            f"a tensor of size {size[:8]} from number {offset} on, strides {stride[:8]}, does not "
            f"lie inside its storage of {length} numbers"
        )
    return storage.values(dtype).as_strided(size, stride, offset)


def _whole(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple | list) or not all(map(_is_whole, numbers)):
        raise ValueError("a size or stride is no tuple of whole numbers")
    return tuple(numbers)


def _is_whole(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 62
