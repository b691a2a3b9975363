"""Pickles that would do something if they were run, written instruction by instruction."""

import os
import struct
from pathlib import Path

MARK, STOP, REDUCE, TUPLE, EMPTY_TUPLE, TUPLE1 = b"(", b".", b"R", b"t", b")", b"\x85"


def text(value: str) -> bytes:
    """A text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def stack_global(module: str, name: str) -> bytes:
    """A global by the instruction of protocol 4."""
    return text(module) + text(name) + b"\x93"


def old_global(module: str, name: str) -> bytes:
    """A global by the instruction of protocol 0."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def called(callee: bytes, *arguments: bytes) -> bytes:
    """A pickle that calls something with arguments."""
    return b"\x80\x04" + callee + MARK + b"".join(arguments) + TUPLE + REDUCE + STOP


class Touch:
    """Writes a file when an ordinary unpickler reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.path}'",)


def whole(value: int) -> bytes:
    """An integer of 32 bits."""
    return b"J" + struct.pack("<i", value)
