"""Your own data, with no code: RecBole files, Parquet, CSV or TSV."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from erase_ray.data.ids import Ids
from erase_ray.datasets import _own_rows as own
from erase_ray.datasets._about import RawFile
from erase_ray.datasets._base import DATASETS, Dataset, ReaderSettings
from erase_ray.datasets._load import load
from erase_ray.datasets._own_columns import (
    RECBOLE,
    TEXTS,
    Reading,
    ending,
    header_of,
    read_columns,
    require,
)
from erase_ray.datasets._own_items import Items, merged, read_items, read_list
from erase_ray.datasets._raw import ItemTable, RawData, with_bad
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError
from erase_ray.settings import Frozen

USUAL = {
    "user": "user_id",
    "item": "item_id",
    "time": "timestamp",
    "session": "session_id",
    "rating": "rating",
}
"""RecBole's names of columns, which need not be given for its files."""


class Columns(Frozen):
    """Names of the columns of the interactions; an empty one is not there."""

    user: str = ""
    """Without it each session is a user."""
    item: str = ""
    time: str = ""
    """Without it the order of the file counts, or of the baskets' ids."""
    session: str = ""
    basket: str = ""
    rating: str = ""


class ItemColumns(Frozen):
    """Names of the columns of the file about items."""

    item: str = ""
    label: str = ""
    """Without it the id stands for the item."""


class Category(Frozen):
    """Sensitive items: those of a file of ids, or with some values in a column."""

    file: str = ""
    """A private list: outer item ids, one a line."""
    column: str = ""
    """A column of the file about items."""
    values: tuple[str, ...] = ()
    """Whole values of that column; upper and lower case matter."""
    separator: str = ""
    """Between several values of one field."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.file) == bool(self.column) or bool(self.column) != bool(self.values):
            raise ValueError("a category takes either file, or column and values")
        return self


@DATASETS.register
class Table(Dataset):
    """A table of interactions that the settings describe, and what is known about its items.

    In a grid::

        datasets:
          table:
            task: session_based
            interactions: clicks.csv.gz
            columns: {user: visitor, session: visit, item: sku, time: clicked_at}
            time_format: "%Y-%m-%d %H:%M:%S"
            items: products.parquet
            item_columns: {item: sku, label: title}
            categories:
              alcohol: {column: department, values: [beer, wine]}
              private: {file: lists/private.txt}

    or, for files in RecBole's format, whose columns have known names::

        datasets:
          table: {task: cf, interactions: ml-100k.inter, items: ml-100k.item, min_rating: 3.5}

    The ending of a file tells its kind: ``.inter`` and ``.item`` (RecBole, with types in the
    header), ``.parquet``, ``.csv``, ``.tsv``, the texts also with ``.gz``. Relative paths are
    looked for in the folder of raw files (``--raw`` or ``ERASE_RAY_RAW``), then in the working
    directory. On a cluster give absolute paths on a disk that all machines share.

    Ids are texts; they stay the outer ids. Times without a zone are UTC. What a row is:

    * ``cf``: one item of a user, in the order of time.
    * ``session_based``: one item of a sequence. A sequence is a session (``columns.session``), or
      is cut from a user's history where nothing happens for longer than ``session_gap_s``, or is
      the whole history if neither is given.
    * ``next_basket``: one item of a basket of a user; the baskets of a user are told apart by
      ``columns.basket``, or else by ``basket_by``.

    In the first two, rows of one time keep the order of the file. Steps of cleaning, each once
    and in this order: ratings below ``min_rating`` (``rated``), repeated rows (``distinct``);
    then, in the first two, ``core`` (``<k>-core``), ``min_item_count`` (``common``) and
    ``min_sequence_length`` (``long``); for baskets ``min_baskets`` to ``max_baskets``
    (``regular``), ``min_item_count`` (``common``) and ``min_baskets`` again (``left``).
    """

    rough_size: ClassVar[tuple[int, int, int]] = (1_000_000, 10_000, 10_000)

    class Settings(ReaderSettings):
        """Settings of `Table`."""

        task: Literal["cf", "session_based", "next_basket"] = "cf"
        """What the data is for."""

        interactions: str = ""
        """File with one row an interaction; must be given."""

        columns: Columns = Columns()
        """Its columns; RecBole's usual names need not be given for ``.inter``."""

        items: str = ""
        """File with one row an item; without it items have no labels."""

        item_columns: ItemColumns = ItemColumns()
        """Its columns; ``item_id`` and the first text need not be given for ``.item``."""

        categories: dict[str, Category] = {}
        """Sensitive categories by name."""

        separator: str = Field(default="", max_length=1)
        """Between the fields of text files, if it is not the usual one of their ending."""

        quote: str = Field(default='"', max_length=1)
        """Around fields that hold a separator; empty if there is none. None in RecBole's files."""

        time_unit: Literal["s", "ms", "us", "ns", "day"] = "s"
        """Of times that are numbers."""

        time_format: str = ""
        """Of times that are texts, as in ``strptime``: ``%Y-%m-%d %H:%M:%S``."""

        min_rating: float = Field(default=0, ge=0)
        """Lowest rating of a row that counts; 0 for all rows."""

        core: int = Field(default=0, ge=0)
        """Fewest rows of each user and item, dropped repeatedly; 0 to keep all."""

        min_item_count: int = Field(default=1, ge=1)
        """Fewest rows (baskets) of an item."""

        min_sequence_length: int = Field(default=1, ge=1)
        """Fewest rows of a user (cf) or sequence (session_based)."""

        session_gap_s: int = Field(default=0, ge=0)
        """Longest pause inside a session, in seconds; 0 if sessions are not cut by time."""

        sessions_per_user: bool = False
        """True if ids of sessions begin anew for each user."""

        basket_by: Literal["day", "time"] = "day"
        """What is one basket without ``columns.basket``: a day in UTC, or one time."""

        min_baskets: int = Field(default=3, ge=3)
        """Fewest baskets of a user; 3 is what train, valid and test take."""

        max_baskets: int = Field(default=0, ge=0)
        """Most baskets of a user; those who have more are left out. 0 for any number."""

        revision: str = ""
        """Any text. Another one makes another dataset: for a file whose content has changed, so
        that results of the old and the new one stay apart."""

    @property
    def title(self) -> str:
        """With the name of the file."""
        return f"{self.name}:{Path(self.settings.interactions).name}"

    @property
    def task(self) -> str:
        """What the setting says."""
        return self.settings.task

    @property
    def own_files(self) -> tuple[RawFile, ...]:
        """The files that the settings name."""
        asked = self.settings
        lists = [category.file for category in asked.categories.values()]
        names = [name for name in (asked.interactions, asked.items, *lists) if name]
        return tuple(RawFile(name, "a file of yours") for name in names)

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """The rows of the table.

        Args:
            files: Local path by name, as :attr:`own_files` lists them, without ``.gz``; others
                are looked for in the working directory.
            scratch: Where columns are kept.

        Raises:
            DataError: A file is missing or not what the settings say.
        """
        path = _found(self.settings.interactions, "interactions", files)
        wanted = self._wanted(path)
        parsed, num_bad = read_columns(path, wanted, self._reading, scratch)
        numbers = tuple(name for name in wanted if name not in TEXTS)
        columns = load(parsed, tuple(name for name in wanted if name in TEXTS), numbers)
        items, flags = self._items(columns["item"], files, scratch)
        counts = {"read": parsed.num_rows}
        rows = own.rated(own.Rows.of(columns), columns, self.settings.min_rating, counts)
        raw = self._cleaned(rows, items.table(flags), counts)
        if not len(raw):
            raise DataError(f"{path.name}: the filters leave no row")
        return replace(raw, counts=with_bad(raw.counts, num_bad + items.num_bad))

    @property
    def _reading(self) -> Reading:
        asked = self.settings
        return Reading(
            asked.separator, asked.quote, asked.time_unit, asked.time_format, asked.skip_bad
        )

    def _wanted(self, path: Path) -> dict[str, str]:
        """Names of columns by what they are for."""
        header = header_of(path, self._reading)
        given = {what: name for what, name in self.settings.columns.model_dump().items() if name}
        if ending(path) in RECBOLE:
            given = {what: name for what, name in USUAL.items() if name in header} | given
        require(path, header, {f"columns.{what}": name for what, name in given.items()})
        needs = [what for what in _needs(self.settings, given) if what not in given]
        if needs:
            raise DataError(
                f"{path.name}: {self.task} needs columns.{' or columns.'.join(needs)}; the file "
                f"has {', '.join(header)[:200]}"
            )
        return {what: name for what, name in given.items() if what in _uses(self.settings, given)}

    def _cleaned(self, rows: own.Rows, table: ItemTable, counts: dict[str, int]) -> RawData:
        asked = self.settings
        if self.task == "next_basket":
            return own.baskets(rows, asked, table, counts)
        return own.sequences(rows, asked, table, counts)

    def _items(
        self, item: Ids, files: dict[str, Path], scratch: Scratch
    ) -> tuple[Items, dict[str, np.ndarray]]:
        """What is known about items, and which are in each category."""
        asked = self.settings
        extra = [category.column for category in asked.categories.values() if category.column]
        items = Items.without_file(item)
        if asked.items:
            path = _found(asked.items, "items", files)
            items = merged(self._described(path, tuple(dict.fromkeys(extra)), scratch), item)
        elif extra:
            raise DataError(f"a category asks for column '{extra[0]}', but 'items' names no file")
        flags = {}
        for name, category in asked.categories.items():
            if category.column:
                has = items.having(category.column, category.values, category.separator)
            else:
                has = np.zeros(len(items.outer), bool)
                listed = _found(category.file, f"categories.{name}.file", files)
                has[read_list(listed, items.outer)] = True
            flags[name] = has
        return items, flags

    def _described(self, path: Path, extra: tuple[str, ...], scratch: Scratch) -> Items:
        header = header_of(path, self._reading)
        given = {k: name for k, name in self.settings.item_columns.model_dump().items() if name}
        if ending(path) in RECBOLE:
            texts = [name for name, kind in header.items() if kind == "token_seq"]
            given = {"item": USUAL["item"]} | ({"label": texts[0]} if texts else {}) | given
        if "item" not in given:
            raise DataError(
                f"{path.name}: item_columns.item is not given; the file has "
                f"{', '.join(header)[:200]}"
            )
        asked = self.settings.categories.items()
        require(
            path,
            header,
            {f"item_columns.{what}": name for what, name in given.items()}
            | {f"categories.{name}.column": kind.column for name, kind in asked if kind.column},
        )
        return read_items(path, given, extra, self._reading, scratch)


def _needs(asked: Any, given: dict[str, str]) -> list[str]:
    """Columns without which the settings make no sense."""
    if "item" not in given:
        return ["item"]
    if asked.min_rating and "rating" not in given:
        return ["rating"]
    if asked.session_gap_s and "time" not in given:
        return ["time"]
    if asked.task == "session_based":
        return [] if "user" in given or "session" in given else ["user", "session"]
    if asked.task == "next_basket" and "user" in given:
        return [] if "basket" in given or "time" in given else ["basket", "time"]
    return ["user"]


def _uses(asked: Any, given: dict[str, str]) -> set[str]:
    """Columns that are read; the others need not be complete."""
    uses = {"user", "item", "time"} | ({"rating"} if asked.min_rating else set())
    if asked.task == "session_based":
        uses |= {"session"} if not asked.session_gap_s or "user" not in given else set()
    return uses | ({"basket"} if asked.task == "next_basket" else set())


def _found(name: str, setting: str, files: dict[str, Path]) -> Path:
    """Local path of a file that a setting names.

    Raises:
        DataError: The setting is empty, or there is no such file.
    """
    if not name:
        raise DataError(f"table: '{setting}' must name a file")
    path = files.get(name.removesuffix(".gz"), Path(name))
    if not path.is_file():
        raise DataError(
            f"table: {setting} '{name}' is not in the folder of raw files and not in {Path.cwd()}"
        )
    return path
