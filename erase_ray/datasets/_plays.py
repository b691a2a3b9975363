"""Plays of tracks in sessions, as columns."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from erase_ray.data.clean import order_by, rank_in_group
from erase_ray.data.ids import Ids
from erase_ray.datasets._base import ReaderSettings
from erase_ray.datasets._parse import Parsed
from erase_ray.datasets._raw import ItemTable, RawData, with_bad

BATCH_SESSIONS = 50_000


class PlaySettings(ReaderSettings):
    """Settings of readers of plays."""

    sequence: Literal["session", "user"] = "session"
    """A sequence is a session, or all of a person as in the published sensitive runs."""


@dataclass(frozen=True, eq=False)
class Plays:
    """Plays in the order of the file.

    Args:
        user: Who, shape ``(R,)``.
        session: In which session.
        item: Which track.
        time: Unix seconds, int64.
        counts: Plays after each step of cleaning.
    """

    user: Ids
    session: Ids
    item: Ids
    time: np.ndarray
    counts: dict[str, int]

    def raw_data(self, sequence: str, items: ItemTable, num_bad: int) -> RawData:
        """The interactions of a dataset.

        Args:
            sequence: ``session`` or ``user``, as :class:`PlaySettings` says.
            items: What is known about the tracks.
            num_bad: Lines that were left out.
        """
        chosen = self.session if sequence == "session" else self.user
        step = steps(chosen, self.time)
        counts = with_bad(self.counts, num_bad)
        return RawData(self.user, chosen, self.item, step, self.time, items, counts)


def steps(sequence: Ids, time: np.ndarray) -> np.ndarray:
    """Place of each row in its sequence by time, int32; ties: the order of the rows."""
    order = order_by(sequence.codes, time)
    step = np.empty(len(order), np.int32)
    step[order] = rank_in_group(sequence.codes[order])
    return step


def load_sessions(parsed: Parsed) -> Plays:
    """The plays of a file that has a session a row.

    Sessions without an owner go (``owned`` is what stays), and then plays without a track or a
    time (``complete``).

    Args:
        parsed: Columns ``session``, ``start`` (Unix seconds), ``owner`` (text or null) and
            ``plays``, a list of structs of ``track`` (text or null) and ``since`` (seconds after
            the start, or null).
    """
    counts = {"read": 0, "owned": 0, "complete": 0}
    parts: list[dict[str, Any]] = []
    for batch in pq.ParquetFile(parsed.path).iter_batches(BATCH_SESSIONS):
        counts["read"] += len(batch["plays"].flatten())
        parts.append(_of_batch(batch.filter(batch["owner"].is_valid()), counts))
    lengths = np.concatenate([part.pop("length") for part in parts])
    time = np.concatenate([part.pop("time") for part in parts])
    user, session, item = (
        Ids.of_chunks([part.pop(name) for part in parts]) for name in ("owner", "session", "track")
    )
    give_back()
    row = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return Plays(user.take(row), session.take(row), item, time, counts)


def give_back() -> None:
    """Return what pyarrow has freed to the system; its pool may keep more than is in use."""
    pa.default_memory_pool().release_unused()


def _of_batch(batch: Any, counts: dict[str, int]) -> dict[str, Any]:
    """Owner, session and number of plays of each session; track and time of each play."""
    plays = batch["plays"].flatten()
    counts["owned"] += len(plays)
    size = _lengths(batch["plays"])
    line = np.repeat(np.arange(len(batch)), size)
    track, since = plays.flatten()  # honours plays that are null themselves
    kept = (track.is_valid(), since.is_valid())
    kept = np.logical_and(*(mask.to_numpy(zero_copy_only=False) for mask in kept))
    line = line[kept]
    counts["complete"] += len(line)
    return {
        "owner": _encoded(batch["owner"]),
        "session": _encoded(batch["session"]),
        "track": _encoded(track.filter(pa.array(kept))),
        "length": np.bincount(line, minlength=len(batch)),
        "time": batch["start"].to_numpy()[line] + since.filter(pa.array(kept)).to_numpy(),
    }


def _lengths(lists: Any) -> np.ndarray:
    """Length of each list; a null has none."""
    lengths = pc.call_function("list_value_length", [lists])
    return lengths.fill_null(0).to_numpy(zero_copy_only=False)


def _encoded(texts: pa.Array) -> Any:
    return texts.dictionary_encode()
