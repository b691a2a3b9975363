"""A column of texts as integers and the distinct texts behind them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from erase_ray.data.names import Names


@dataclass(frozen=True, eq=False)
class Ids:
    """One text a row, as a number into a list of texts.

    Args:
        codes: int32, shape ``(R,)``.
        names: The distinct texts; some may be in no row.
    """

    codes: np.ndarray
    names: Names

    @classmethod
    def of(cls, texts: Iterable[Any]) -> "Ids":
        """From any column of texts or numbers; numbers become their decimal text.

        Raises:
            ValueError: A value is missing.
        """
        is_array = isinstance(texts, pa.Array | pa.ChunkedArray)
        array: Any = texts if is_array else pa.array(texts)
        if array.null_count:
            raise ValueError(f"{array.null_count} of {len(array)} ids are missing")
        encoded = array.cast(pa.large_string()).dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            return cls.of_chunks(encoded.chunks)
        return cls(encoded.indices.to_numpy().astype(np.int32), Names(encoded.dictionary))

    @classmethod
    def of_chunks(cls, chunks: list[Any]) -> "Ids":
        """From dictionary-encoded pieces without nulls, each with its own dictionary."""
        if not chunks:
            return cls(np.zeros(0, np.int32), Names.of(()))
        unified = pa.chunked_array(chunks).unify_dictionaries()
        codes = [chunk.indices.to_numpy().astype(np.int32) for chunk in unified.chunks]
        return cls(np.concatenate(codes), Names(unified.chunks[0].dictionary))

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> "Ids":
        """The rows at some positions, or those that a mask of bools marks; names stay."""
        return Ids(self.codes[rows], self.names)

    def texts(self) -> list[str]:
        """The text of each row; for small tables."""
        return list(self.names.take(self.codes))

    def used(self) -> np.ndarray:
        """bool, one a name: True where a row has it."""
        seen = np.zeros(len(self.names), bool)
        seen[self.codes] = True
        return seen

    def compact(self) -> "Ids":
        """The same rows without the names that no row has."""
        seen = self.used()
        if seen.all():
            return self
        number = np.cumsum(seen, dtype=np.int32) - 1
        return Ids(number[self.codes], self.names.take(np.flatnonzero(seen)))
