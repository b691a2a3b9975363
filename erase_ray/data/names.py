"""Texts by position: the outer ids of millions of things without a Python object for each."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

compute: Any = pyarrow.compute  # its functions are made at run time


class Names(Sequence[str]):
    """An immutable sequence of texts, none of them null.

    Args:
        array: An array or column of texts of any of pyarrow's kinds.

    Raises:
        ValueError: One of the texts is null.
    """

    __slots__ = ("__dict__", "array")

    def __init__(self, array: Any) -> None:
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if isinstance(array, pa.DictionaryArray):
            array = array.dictionary_decode()
        if array.null_count:
            raise ValueError(f"{array.null_count} of {len(array)} texts are null")
        self.array: Any = array.cast(pa.large_string())

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Names":
        """The texts in their order; anything but a text is an error of pyarrow."""
        if isinstance(texts, Names):
            return texts
        if isinstance(texts, pa.Array | pa.ChunkedArray):
            return cls(texts)
        return cls(pa.array(list(texts), pa.large_string()))

    @classmethod
    def of_numbers(cls, numbers: np.ndarray) -> "Names":
        """Integers as decimal texts."""
        return cls(pa.array(numbers).cast(pa.large_string()))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return Names(self.array[position])
        return self.array[int(position)].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 65_536):
            yield from self.array[start : start + 65_536].to_pylist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names):
            return self.array.equals(other.array)
        return isinstance(other, tuple | list) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        shown = ", ".join(repr(text) for text in self[:5])
        return f"Names({shown}{', ...' if len(self) > 5 else ''}; {len(self)})"

    def take(self, positions: np.ndarray) -> "Names":
        """The texts at ``positions``, in that order."""
        return Names(self.array.take(pa.array(positions)))

    def joined(self, other: "Names") -> "Names":
        """These texts, then those of ``other``."""
        return Names(pa.concat_arrays([self.array, other.array]))

    def glued(self, other: "Names", between: str) -> "Names":
        """Each of these texts, ``between``, and the text of ``other`` at the same place."""
        parts = [self.array, other.array, pa.scalar(between, pa.large_string())]
        return Names(compute.call_function("binary_join_element_wise", parts))

    def positions(self, texts: Iterable[str]) -> np.ndarray:
        """Where each of ``texts`` is, int64; -1 for one that is not here.

        The sequence must not hold a text twice.
        """
        found = compute.index_in(Names.of(texts).array, value_set=self.array)
        return compute.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    @cached_property
    def natural_ranks(self) -> np.ndarray:
        """Rank of each text in natural order, int64: ``2`` before ``10``, numbers before others.

        Numbers are texts of ASCII digits; of two with the same value the one with more leading
        zeros comes first. Other texts are in the order of their code points.
        """
        is_number = compute.match_substring_regex(self.array, r"^[0-9]+$")
        digits = compute.if_else(is_number, compute.ascii_ltrim(self.array, "0"), "")
        table = pa.table(
            {
                "other": compute.invert(is_number),
                "length": compute.binary_length(digits),
                "digits": digits,
                "text": self.array,
            }
        )
        keys = [(name, "ascending") for name in table.column_names]
        order = compute.sort_indices(table, sort_keys=keys).to_numpy()
        rank = np.empty(len(self), np.int64)
        rank[order] = np.arange(len(self))
        return rank
