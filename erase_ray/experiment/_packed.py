"""Exact, compressed differences between tensors, for files that are kept.

Only rows that changed are written, of these only the entries that changed, and of an entry how
many representable numbers lie between the old and the new value: small steps give small integers.
The bytes of those integers are put apart by significance and compressed with Zstandard at a fixed
level, so the upper ones, which are mostly zero, take next to no room. Nothing is rounded.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from erase_ray.errors import StoreError
from erase_ray.experiment._deltas import integer_of, rows_of

CHUNK = 1 << 21
"""Entries that are looked at together; part of the format of what is written."""
LEVEL = 1
"""Of Zstandard; another one gives other bytes for equal weights."""

GAP_BYTES = 4
"""Of the distance between two changed rows of a chunk."""

_CODEC = pa.Codec("zstd", compression_level=LEVEL)
_DTYPES = {str(dtype): dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
_CHUNK_NUMBER, _NUM_ROWS, _NUM_VALUES, _FIRST_SIZE = range(4)


def packed(
    tensors: dict[str, Tensor], parent: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What makes ``tensors`` from ``parent``, bit by bit: NaN equals itself, -0.0 is not 0.0.

    Returns:
        Facts to keep: ``same``, the names of unchanged tensors; ``packed``, type and shape of the
        others by name; ``digest``, SHA-256 of all changed entries as they are now. And the parts
        to store: ``data:<name>`` and ``index:<name>`` for each tensor that changed.
    """
    facts: dict[str, Any] = {"same": [], "packed": {}}
    parts: dict[str, Tensor] = {}
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        old = parent.get(name)
        is_alike = old is not None and old.shape == tensor.shape and old.dtype == tensor.dtype
        start = old if is_alike and old is not None else torch.zeros_like(tensor)
        index, data = _encode(tensor, start, digest)
        if is_alike and not len(index):
            facts["same"].append(name)
            continue
        dtype = str(tensor.dtype)
        facts["packed"][name] = {
            "dtype": dtype,
            "shape": list(tensor.shape),
            "from": "parent" if is_alike else "zero",
        }
        parts[f"index:{name}"] = torch.from_numpy(index)
        parts[f"data:{name}"] = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)
    return facts | {"digest": digest.hexdigest()}, parts


def unpacked(
    parent: dict[str, Tensor], facts: dict[str, Any], parts: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights that :func:`packed` was taken of; tensors of ``parent`` are edited in place.

    Raises:
        StoreError: The entries are not those that were packed.
    """
    tensors = {name: parent[name] for name in facts["same"]}
    digest = hashlib.sha256()
    for name, form in facts["packed"].items():
        if form["from"] == "parent":
            tensors[name] = parent[name]
        else:
            tensors[name] = torch.zeros(form["shape"], dtype=_DTYPES[form["dtype"]])
        _decode(tensors[name], parts[f"index:{name}"].numpy(), parts[f"data:{name}"], digest)
    if digest.hexdigest() != facts["digest"]:
        raise StoreError("what it unpacks to does not have the SHA-256 of what was packed")
    return dict(sorted(tensors.items()))


def _encode(tensor: Tensor, old: Tensor, digest: Any) -> tuple[np.ndarray, bytes]:
    """Chunk number, rows, entries and sizes of the pieces, a chunk a row; and all the pieces."""
    index, data = [], []
    for number, (new_RC, old_RC) in enumerate(zip(_chunks(tensor), _chunks(old), strict=True)):
        changed_RC = new_RC != old_RC
        rows = changed_RC.any(1).nonzero()[0]
        if not len(rows):
            continue
        mask_RC = changed_RC[rows]
        now, before = new_RC[rows][mask_RC], old_RC[rows][mask_RC]
        digest.update(now.data)
        gaps = np.diff(rows, prepend=0).astype(np.uint32)
        steps = _steps(now, before, tensor.dtype.is_floating_point)
        pieces = [
            _smaller(piece) for piece in (*_planes(gaps), np.packbits(mask_RC), *_planes(steps))
        ]
        index.append([number, len(rows), len(now), *map(len, pieces)])
        data += pieces
    columns = _FIRST_SIZE + GAP_BYTES + 1 + integer_of(tensor).itemsize
    return np.array(index, np.int64).reshape(-1, columns), b"".join(data)


def _decode(tensor: Tensor, index: np.ndarray, data: Tensor, digest: Any) -> None:
    buffer, at = data.numpy().data, 0
    chunks = dict(enumerate(_chunks(tensor))) if len(index) else {}
    for line in index.tolist():
        target_RC = chunks[line[_CHUNK_NUMBER]]
        num_rows, num_values = line[_NUM_ROWS], line[_NUM_VALUES]
        lengths = [
            *[num_rows] * GAP_BYTES,
            -(-num_rows * target_RC.shape[1] // 8),
            *[num_values] * integer_of(tensor).itemsize,
        ]
        pieces = []
        for size, length in zip(line[_FIRST_SIZE:], lengths, strict=True):
            pieces.append(_whole(buffer[at : at + size], length))
            at += size
        rows = np.cumsum(_joined(pieces[:GAP_BYTES], np.dtype(np.uint32)), dtype=np.int64)
        bits = np.unpackbits(pieces[GAP_BYTES], count=num_rows * target_RC.shape[1])
        mask_RC = bits.view(bool).reshape(num_rows, -1)
        old_RC = target_RC[rows]
        steps = _joined(pieces[GAP_BYTES + 1 :], _unsigned(target_RC.dtype))
        now = _stepped(old_RC[mask_RC], steps, tensor.dtype.is_floating_point)
        digest.update(now.data)
        old_RC[mask_RC] = now
        target_RC[rows] = old_RC


def _chunks(tensor: Tensor) -> Iterator[np.ndarray]:
    """Views of the bits as integers, so many rows at a time."""
    if not tensor.numel():
        return
    whole = rows_of(tensor)
    for part_RC in whole.split(max(1, CHUNK // whole.shape[1])):
        yield part_RC.numpy()


def _steps(now: np.ndarray, before: np.ndarray, is_float: bool) -> np.ndarray:
    """From the old to the new value, in representable numbers: 0, -1, 1, -2 as 0, 1, 2, 3."""
    with np.errstate(over="ignore"):
        step = _ordered(now, is_float) - _ordered(before, is_float)
        kind, high = _signed(step.dtype), step.dtype.itemsize * 8 - 1
        step = step.view(kind)
        return ((step << 1) ^ (step >> high)).view(_unsigned(kind))


def _stepped(before: np.ndarray, steps: np.ndarray, is_float: bool) -> np.ndarray:
    with np.errstate(over="ignore"):
        step = (steps >> 1) ^ (0 - (steps & 1))
        number = _ordered(before, is_float).view(steps.dtype) + step
        return _ordered(number.view(before.dtype), is_float)


def _ordered(bits: np.ndarray, is_float: bool) -> np.ndarray:
    """Integers in the order of the numbers that the bits stand for; its own inverse."""
    if not is_float:
        return bits
    signed = bits.view(_signed(bits.dtype))
    flip = (signed >> (signed.dtype.itemsize * 8 - 1)) & np.iinfo(signed.dtype).max
    return (signed ^ flip).view(bits.dtype)


def _planes(numbers: np.ndarray) -> list[np.ndarray]:
    """All lowest bytes, then all next ones and so on."""
    width = numbers.dtype.itemsize
    bytes_NW = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).view(np.uint8)
    return [np.ascontiguousarray(bytes_NW.reshape(-1, width)[:, byte]) for byte in range(width)]


def _joined(planes: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    bytes_NW = np.stack(planes, axis=1)
    return bytes_NW.reshape(-1).view(dtype.newbyteorder("<")).astype(dtype, copy=False)


def _smaller(piece: np.ndarray) -> bytes:
    """Compressed, or as it is where that is no longer."""
    raw = piece.tobytes()
    short = _CODEC.compress(raw, asbytes=True)
    return short if len(short) < len(raw) else raw


def _whole(piece: memoryview, length: int) -> np.ndarray:
    if len(piece) == length:
        return np.frombuffer(piece, np.uint8)
    try:
        return np.frombuffer(_CODEC.decompress(piece, length), np.uint8)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"a piece of it cannot be unpacked: {error}") from error


def _unsigned(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"u{dtype.itemsize}")


def _signed(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"i{dtype.itemsize}")
