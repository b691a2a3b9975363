"""Amazon Reviews 2023, Books, for session-based recommendation."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from erase_ray.data.clean import cut_sessions, rank_in_group, runs
from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets import _amazon
from erase_ray.datasets._about import About
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._parse import Column
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._rules_amazon import BOOK_RULES
from erase_ray.datasets._scratch import Scratch

HOUR_MS = 3_600_000
SHOP = _amazon.Shop(
    stem="Books",
    columns=(
        Column("title", "text", required=False),
        Column("categories", ["VARCHAR"], required=False),
        Column("description", ["VARCHAR"], required=False),
        Column("features", ["VARCHAR"], required=False),
        Column("details", "MAP(VARCHAR, VARCHAR)", required=False),
    ),
    texts={
        "title": "title",
        "description": _amazon.text_of("description"),
        "categories": _amazon.text_of("categories"),
        "facts": _amazon.joined(
            _amazon.text_of("features"), _amazon.text_of("details", is_map=True)
        ),
    },
    rules=BOOK_RULES,
)


@DATASETS.register
class AmazonBooks(Dataset):
    """29.5 million reviews of books by 10.3 million people (Amazon Reviews 2023).

    An item is an edition (``asin``). Reviews that lack user, edition, parent, rating or time go;
    then those under ``min_rating``; then repeats of the same user, edition, rating and time (one
    edition at two times stays); then the k-core. After that a person's reviews are cut: a pause of
    more than one hour, to the millisecond, begins a new session, ``<user>_session_<number from
    0>``. Order of time; ties: natural order of the ids of the editions.

    Sensitive books are found by signals in the metadata of a work (``parent_asin``); its editions
    are those whose reviews name it.
    """

    about: ClassVar[About | None] = _amazon.about(
        SHOP.stem,
        "Books",
        "about 6.2 GB, 29.5 M lines",
        "about 4.9 GB, 4.4 M lines",
    )
    rough_size: ClassVar[tuple[int, int, int]] = (8_000_000, 700_000, 450_000)

    class Settings(_amazon.AmazonSettings):
        """Settings of `AmazonBooks`."""

        sequence: Literal["session", "user"] = "session"
        """A sequence is a session, or all of a person as in the published sensitive runs."""

    @property
    def task(self) -> str:
        """``session_based``."""
        return "session_based"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Reviews as interactions."""
        reviews, items = _amazon.read_shop(SHOP, files, scratch, self.settings)
        sequence = reviews.user
        if self.settings.sequence == "session":
            sequence = _sessions(reviews.user, reviews.time_ms)
        return RawData(
            user=reviews.user,
            sequence=sequence,
            item=reviews.item,
            step=rank_in_group(sequence.codes),
            time=reviews.time_ms // np.int64(1000),
            items=items,
            counts=reviews.counts,
        )


def _sessions(user: Ids, time_ms: np.ndarray) -> Ids:
    """Session of each row, for rows by user and time."""
    number = cut_sessions(user.codes, time_ms, HOUR_MS)
    session = runs(user.codes, number)
    first = np.flatnonzero(np.diff(session, prepend=-1))
    owner = user.names.take(user.codes[first]).array
    text = pa.array(number[first]).cast(pa.large_string())
    parts = [owner, text, pa.scalar("_session_", pa.large_string())]
    names = pc.call_function("binary_join_element_wise", parts)
    return Ids(session.astype(np.int32), Names(names))
