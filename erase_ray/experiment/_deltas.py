"""The rows in which weights differ from their parent, bit by bit."""

import torch
from torch import Tensor

_INTEGER = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_CHUNK = 1 << 22
_IDS_BYTES = 8


def difference(
    tensors: dict[str, Tensor], parent: dict[str, Tensor]
) -> tuple[list[str], dict[str, Tensor]]:
    """What has to be stored to make ``tensors`` from ``parent``.

    Equality is equality of bits: NaN equals the same NaN, and -0.0 differs from 0.0.

    Returns:
        Names of unchanged tensors, and the parts to store: ``ids:<name>`` (int64 row ids) with
        ``rows:<name>`` for a tensor of which few rows changed, else ``whole:<name>``.
    """
    same: list[str] = []
    parts: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        rows = _changed_rows(tensor, parent.get(name))
        if rows is None or _costs_more(rows, tensor):
            parts[f"whole:{name}"] = tensor
        elif len(rows):
            parts[f"ids:{name}"] = rows
            parts[f"rows:{name}"] = rows_of(tensor)[rows].view(tensor.dtype)
        else:
            same.append(name)
    return same, parts


def patched(
    parent: dict[str, Tensor], same: list[str], parts: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights that ``difference`` was taken of; tensors of ``parent`` are edited in place."""
    tensors = {name: parent[name] for name in same}
    for part, tensor in parts.items():
        kind, _, name = part.partition(":")
        if kind == "whole":
            tensors[name] = tensor
        elif kind == "ids":
            tensors[name] = parent[name]
            rows_of(tensors[name])[tensor] = rows_of(parts[f"rows:{name}"])
    return dict(sorted(tensors.items()))


def size_bytes(tensors: dict[str, Tensor]) -> int:
    """Bytes of all values together."""
    return sum(tensor.nbytes for tensor in tensors.values())


def _changed_rows(tensor: Tensor, old: Tensor | None) -> Tensor | None:
    """Ids of rows that differ; None if the tensors cannot be compared row by row."""
    if old is None or old.shape != tensor.shape or old.dtype != tensor.dtype:
        return None
    if not tensor.numel():
        return torch.zeros(0, dtype=torch.int64)
    new_RC, old_RC = rows_of(tensor), rows_of(old)
    step = max(1, _CHUNK // new_RC.shape[1])
    pairs = zip(new_RC.split(step), old_RC.split(step), strict=True)
    return torch.cat([(new != old).any(1) for new, old in pairs]).nonzero().flatten()


def rows_of(tensor: Tensor) -> Tensor:
    """A view of the bits as integers, shape ``(rows, columns)``; a number is one row."""
    rows = tensor.shape[0] if tensor.dim() else 1
    return tensor.reshape(rows, -1).view(integer_of(tensor))


def integer_of(tensor: Tensor) -> torch.dtype:
    """The integers that bits are looked at as."""
    size = 1 if tensor.dtype == torch.bool else tensor.element_size()
    return _INTEGER.get(size, torch.uint8)


def _costs_more(rows: Tensor, tensor: Tensor) -> bool:
    """True if row ids and rows are not smaller than the tensor; False if there are none."""
    if not len(rows):
        return False
    num_rows = tensor.shape[0] if tensor.dim() else 1
    return len(rows) * (tensor.nbytes // num_rows + _IDS_BYTES) >= tensor.nbytes
