"""Labels and sensitive items of a user's own data."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from erase_ray.data.clean import distinct
from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._own_columns import (
    PARQUET,
    Reading,
    ending,
    header_of,
    separation,
)
from erase_ray.datasets._parse import Column, named, naming, quoted
from erase_ray.datasets._raw import ItemTable
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

logger = logging.getLogger(__name__)

TOKENS = "token_seq"
"""RecBole's type of a field that holds several words with a blank between two."""
FEW = 0.5
"""Share of a list of ids under which it is likely to use other ids than the data."""


@dataclass(frozen=True, eq=False)
class Items:
    """What a file says about items.

    Args:
        outer: Id of each item, once.
        label: Text for the eye.
        fields: Other columns by name; null where a field is empty.
        separators: Text between two values of a field, for columns that hold several.
        num_bad: Lines that were left out.
    """

    outer: Names
    label: Names
    fields: dict[str, pa.Array] = field(default_factory=dict)
    separators: dict[str, str] = field(default_factory=dict)
    num_bad: int = 0

    @classmethod
    def without_file(cls, item: Ids) -> "Items":
        """The items of the interactions, labelled with their ids."""
        return cls(item.names, item.names)

    def having(self, column: str, values: tuple[str, ...], separator: str) -> np.ndarray:
        """True for items that have one of ``values`` in a column.

        Args:
            column: Name of the column.
            values: Whole values; upper and lower case matter.
            separator: Between two values of a field; empty if a field is one value, or as the
                file says.
        """
        texts = self.fields[column]
        between = separator or self.separators.get(column, "")
        wanted = pa.array(values, pa.large_string())
        if not between:
            found = pc.call_function("is_in", [texts], pc.SetLookupOptions(wanted))
            return np.asarray(found)
        split = pc.call_function("split_pattern", [texts], pc.SplitPatternOptions(between))
        parts = split.flatten()
        owner = np.asarray(pc.call_function("list_parent_indices", [split]))
        trimmed = pc.call_function("utf8_trim_whitespace", [parts])
        found = np.asarray(pc.call_function("is_in", [trimmed], pc.SetLookupOptions(wanted)))
        has = np.zeros(len(texts), bool)
        has[owner[found]] = True
        return has

    def table(self, flags: dict[str, np.ndarray]) -> ItemTable:
        """With categories."""
        return ItemTable(self.outer, self.label, flags)


def read_items(
    path: Path, wanted: dict[str, str], extra: tuple[str, ...], reading: Reading, scratch: Scratch
) -> Items:
    """A file about items.

    Args:
        path: CSV, TSV, RecBole ``.item`` or Parquet.
        wanted: Names of the columns ``item`` and ``label``; without a label the id stands for it.
        extra: More columns that categories ask for.
        reading: How to read it.
        scratch: Where columns are kept.

    Raises:
        DataError: The file is not readable, or lists an item twice.
    """
    header = header_of(path, reading)
    names = list(dict.fromkeys([*wanted.values(), *extra]))
    if ending(path) == PARQUET:
        source, num_bad = path, 0
    else:
        columns = tuple(
            Column(_typed(name, header), "text", name, required=name == wanted["item"])
            for name in names
        )
        separator, quote = separation(path, reading)
        parsed = parse_delimited(
            path, columns, scratch, skip_bad=reading.skip_bad, separator=separator, quote=quote
        )
        source, num_bad = parsed.path, parsed.num_bad
    texts = _texts(path, source, names, scratch)
    outer = _outer(path, texts[wanted["item"]])
    label = texts[wanted.get("label", wanted["item"])]
    label = pc.call_function("coalesce", [label, outer.array])
    spaces = {name: " " for name in extra if header[name] == TOKENS}
    return Items(outer, Names(label), {name: texts[name] for name in extra}, spaces, num_bad)


def read_list(path: Path, known: Names) -> np.ndarray:
    """Where the ids that a file lists, one a line, are in ``known``; others are left out.

    Raises:
        DataError: The file is no text, lists nothing, or nothing that is known.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path.name} cannot be read as a list of item ids ({error})") from error
    ids = list(dict.fromkeys(text for line in lines if (text := line.strip())))
    if not ids:
        raise DataError(f"{path.name} lists no item; expected one item id a line")
    place = known.positions(ids)
    unknown = [text for text, at in zip(ids, place.tolist(), strict=True) if at < 0]
    if len(unknown) == len(ids):
        raise DataError(
            f"{path.name}: none of the {len(ids)} listed ids is an item of the data, such as "
            f"'{ids[0]}'; the list seems to use other ids"
        )
    if len(unknown) > FEW * len(ids):
        logger.warning(
            "%s: %d of the %d listed ids are no items of the data, such as '%s'",
            path.name, len(unknown), len(ids), unknown[0],
        )  # fmt: skip
    return place[place >= 0]


def merged(items: Items, item: Ids) -> Items:
    """The same with the items of the interactions that the file does not tell about."""
    more = item.names.take(np.flatnonzero(items.outer.positions(item.names) < 0))
    if not len(more):
        return items
    nothing = pa.nulls(len(more), pa.large_string())
    fields = {name: pa.concat_arrays([texts, nothing]) for name, texts in items.fields.items()}
    outer, label = items.outer.joined(more), items.label.joined(more)
    return Items(outer, label, fields, items.separators, items.num_bad)


def _typed(name: str, header: dict[str, str]) -> str:
    return f"{name}:{header[name]}" if header[name] else name


def _texts(path: Path, source: Path, names: list[str], scratch: Scratch) -> dict[str, pa.Array]:
    picked = ", ".join(f"{named(name)}::VARCHAR AS {named(name)}" for name in names)
    with naming(path), scratch.duckdb() as db:
        rows = f"SELECT {picked} FROM read_parquet({quoted(str(source))})"
        table = db.sql(rows).to_arrow_table()
    return {name: table[name].cast(pa.large_string()).combine_chunks() for name in names}


def _outer(path: Path, texts: pa.Array) -> Names:
    if texts.null_count:
        raise DataError(f"{path.name} has {texts.null_count} items without an id")
    ids = Ids.of(texts)
    is_first = distinct(ids.codes)
    if not is_first.all():
        again = texts[int(np.flatnonzero(~is_first)[0])].as_py()
        raise DataError(f"{path.name} lists item '{again}' more than once")
    return Names(texts)
