"""The one door for pickles: ``.pth`` and ``.pkl`` files, read without being run.

A pickle is a program. Python's own reader, and so ``torch.load`` and ``pickle.load``, runs it: it
imports any module that the file names and calls any function in it. Here the file is data. Its
instructions are parsed and interpreted by a machine of this package that can make

* None, booleans, numbers, texts, bytes, lists, tuples, dictionaries (``OrderedDict`` too), sets;
* tensors of torch, which must lie inside their storages, with their sizes, number types, devices;
* arrays and numbers of NumPy of plain number types.

Whatever else a file names is refused with its name, and nothing is imported or called on behalf of
a file. One exception keeps checkpoints of RecBole readable: their entry ``config`` is an object of
a class of RecBole with enumerations inside. Globals of ``recbole`` and its modules, and
``yaml.loader.FullLoader`` which that object mentions, become records (:class:`Inert`) of the name,
the arguments and the state. They are never imported, so it does not matter whether RecBole is
there, and have no behaviour: there is nothing that a file could make them do.

Nothing is written. What a file may take is bounded by its size: storages are as long as the bytes
that are there, archives are not compressed, tensors are no larger than their storages, and depth,
instructions and repeated parts have limits (:class:`Limits`).
"""

import io
from pathlib import Path
from typing import Any, BinaryIO

from erase_ray.imports._archive import MAGIC as ZIP
from erase_ray.imports._archive import read_archive
from erase_ray.imports._globals import finder
from erase_ray.imports._legacy import begins_like, nested_storage, no_persistent, read_legacy
from erase_ray.imports._limits import Budget, Limits
from erase_ray.imports._machine import Machine
from erase_ray.imports._settled import check
from erase_ray.imports._values import Inert, InertClass
from erase_ray.imports.errors import ForeignFileError

__all__ = ["Inert", "InertClass", "Limits", "read"]

LIMITS = Limits()
_GZIP = b"\x1f\x8b"


def read(path: str | Path, limits: Limits = LIMITS) -> Any:
    """The value in a checkpoint of torch (old or new form) or in a plain pickle.

    Tensors are on the CPU, ask for no gradient and share the storages that they share in the file.

    Args:
        path: A local file; the ending does not matter.
        limits: What it may take.

    Raises:
        ForeignFileError: There is no such file; it is damaged, cut off or of no known form; it
            names something that is not admitted; or it is larger inside than outside.
    """
    path = Path(path)
    if not path.is_file():
        raise ForeignFileError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            value = _read(path, file, limits)
    except RecursionError as error:
        raise ForeignFileError(f"{path.name} is nested too deeply") from error
    except MemoryError as error:
        raise ForeignFileError(f"{path.name} does not fit the memory") from error
    check(path.name, value, limits)
    return value


def _read(path: Path, file: BinaryIO, limits: Limits) -> Any:
    start = file.read(len(ZIP))
    file.seek(0)
    if start == ZIP:
        return read_archive(path, file, limits)
    if start[:2] == _GZIP:
        raise ForeignFileError(f"{path.name} is compressed; unpack it first (gunzip)")
    num_bytes = path.stat().st_size
    if begins_like(file):
        budget = Budget(path.name, 16 * num_bytes + limits.slack_bytes)
        return read_legacy(path.name, file, budget, limits)
    return _read_plain(path, file, limits)


def _read_plain(path: Path, file: BinaryIO, limits: Limits) -> Any:
    num_bytes = path.stat().st_size
    if num_bytes > limits.pickle_bytes:
        raise ForeignFileError(f"{path.name} is a pickle of {num_bytes} bytes, more than is read")
    data = io.BytesIO(file.read())
    budget = Budget(path.name, 16 * num_bytes + limits.slack_bytes)
    find = finder(path.name, nested_storage(path.name, limits))
    value = Machine(path.name, find, no_persistent(path.name), budget, limits).run(data)
    if data.read(1):
        raise ForeignFileError(f"{path.name} goes on behind its pickle; it is of no known form")
    return value
