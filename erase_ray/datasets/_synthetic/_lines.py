"""Lines of text from columns of numbers, fast enough for files of gigabytes."""

from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def texts(numbers: np.ndarray) -> pa.Array:
    """The numbers in decimal."""
    return pa.array(numbers).cast(pa.large_string())


def joined(*parts: pa.Array | str) -> Any:
    """The parts one after the other, element by element; a plain text is in every element."""
    wide = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts]
    return pc.call_function("binary_join_element_wise", [*wide, pa.scalar("", pa.large_string())])


def chosen(is_first: np.ndarray, first: pa.Array | str, second: pa.Array | str) -> Any:
    """``first`` where True, ``second`` elsewhere."""
    return pc.call_function("if_else", [pa.array(is_first), _wide(first), _wide(second)])


def grouped(parts: pa.Array, starts: np.ndarray, separator: str) -> Any:
    """Runs of ``parts`` joined by ``separator``; run g ends where run g + 1 starts.

    Args:
        parts: What is joined.
        starts: Where each run starts, and the length of ``parts`` at the end.
        separator: Stands between two parts of a run.
    """
    lists = pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), parts.cast(pa.string()))
    short = pc.call_function("binary_join", [lists, pa.scalar(separator)])
    return short.cast(pa.large_string())


def write(file: IO[bytes], lines: pa.Array) -> None:
    """Append lines, each of which brings its own line end."""
    whole = pa.concat_arrays([lines])
    if not len(whole):
        return
    _, offsets, data = whole.buffers()
    assert offsets is not None
    assert data is not None
    ends = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    file.write(memoryview(data)[int(ends[0]) : int(ends[-1])])


def runs(sizes: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of runs taken in another order.

    Args:
        sizes: Length of each of the runs that lie one after the other.
        order: Numbers of the runs that are wanted.

    Returns:
        Positions of their rows, and where each wanted run starts in them (with the end).
    """
    begin = np.cumsum(np.append(0, sizes))
    starts = np.cumsum(np.append(0, sizes[order]))
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes[order])
    return np.repeat(begin[order], sizes[order]) + within, starts


def _wide(part: pa.Array | str) -> Any:
    return pa.scalar(part, pa.large_string()) if isinstance(part, str) else part
