"""30Music: listening sessions on Last.fm, for session-based recommendation."""

import logging
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq

from erase_ray.data.clean import distinct
from erase_ray.data.names import Names
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._idomaar import Idomaar
from erase_ray.datasets._load import load_ids
from erase_ray.datasets._parse import Parsed, parse, quoted
from erase_ray.datasets._plays import Plays, PlaySettings, give_back, load_sessions
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

logger = logging.getLogger(__name__)

SESSIONS, TRACKS = "relations/sessions.idomaar", "entities/tracks.idomaar"
TAGS = {
    "health": (154395, 15345, 233689, 214036, 59294),
    "explicit": (77138, 193026, 174963),
}
"""Tags of each category: mental, anxiety, suicide, self-harm and depression; explicit, profanity
and nsfw."""


def _has_tag(members: tuple[int, ...]) -> str:
    ids = ", ".join(quoted(str(member)) for member in members)
    tags = "list_transform(relations.tags, lambda tag: tag.id)"
    return f"coalesce(list_has_any({tags}, [{ids}]), false)"


SESSION_LINES = Idomaar(
    kind="event.session",
    columns={
        "session": "id",
        "start": "time",
        "owner": "relations.subjects[1].id",
        "plays": (
            "list_transform(relations.objects, lambda play: {'track': play.id, "
            "'since': try_cast(play.playstart AS BIGINT)})"
        ),
    },
    properties={},
    relations={
        "subjects": [{"id": "VARCHAR"}],
        "objects": [{"id": "VARCHAR", "playstart": "VARCHAR"}],
    },
    checks=(
        ("time IS NULL", "the start of the session is not an integer"),
        (
            "list_bool_or(list_transform(relations.objects, lambda play: "
            "play.playstart IS NOT NULL AND try_cast(play.playstart AS BIGINT) IS NULL))",
            "a playstart is not an integer",
        ),
    ),
)
TRACK_LINES = Idomaar(
    kind="track",
    columns={
        "track": "id",
        "label": (
            "replace(coalesce(TRY(url_decode(replace(properties.name, '+', ' '))), "
            "properties.name, id), '/_/', ' - ')"
        ),
    }
    | {category: _has_tag(members) for category, members in TAGS.items()},
    properties={"name": "VARCHAR"},
    relations={"tags": [{"id": "VARCHAR"}]},
)
"""The name is ``artist/_/title`` as in a web address; one that is no clean UTF-8 stays as it is. A
track without a name is labelled with its id."""


@DATASETS.register
class ThirtyMusic(Dataset):
    """31.4 million plays of 5.7 million tracks by 45 thousand people (Last.fm, 2014 to 2015).

    A user is the first subject of a session, an item a track, the time of a play the start of its
    session plus its ``playstart``. Steps of cleaning, with the name of each in ``counts``: plays of
    sessions that name no user go (``owned``), then plays that name no track or have no
    ``playstart``, as nobody knows when they were (``complete``). There is no other filter: a track
    played twice is there twice. Order of time; ties: the order of the file.

    Sensitive tracks are those with one of eight tags.
    """

    about: ClassVar[About | None] = About(
        title="30Music listening and playlists dataset (Politecnico di Milano and ContentWise)",
        licence="none is stated in its paper, which calls it freely available; for research",
        citation=(
            "R. Turrin, M. Quadrana, A. Condorelli, R. Pagano, P. Cremonesi: 30Music listening and "
            "playlists dataset. Poster proceedings of RecSys 2015, CEUR-WS 1441"
        ),
        address="http://recsys.deib.polimi.it/datasets/",
        files=(
            RawFile(SESSIONS, "sessions with their plays", "about 2.8 million lines"),
            RawFile(TRACKS, "tracks with names and tags", "about 5.7 million lines"),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (31_400_000, 45_000, 5_700_000)

    class Settings(PlaySettings):
        """Settings of `ThirtyMusic`."""

    @property
    def task(self) -> str:
        """``session_based``."""
        return "session_based"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Plays as interactions."""
        skip_bad = self.settings.skip_bad
        sessions = parse(files[SESSIONS], SESSION_LINES, scratch, skip_bad)
        tracks = parse(files[TRACKS], TRACK_LINES, scratch, skip_bad)
        plays = load_sessions(sessions)
        _report(plays, sessions)
        num_bad = sessions.num_bad + tracks.num_bad
        return plays.raw_data(self.settings.sequence, _item_table(tracks), num_bad)


def _report(plays: Plays, sessions: Parsed) -> None:
    if not plays.counts["complete"]:
        raise DataError(f"{SESSIONS}: no play has a user, a track and a playstart: {plays.counts}")
    num_used = np.count_nonzero(plays.session.used())
    logger.info("%d of %d sessions have plays of a known user", num_used, sessions.num_rows)


def _item_table(tracks: Parsed) -> ItemTable:
    """All tracks; of lines with one id the first counts."""
    ids = load_ids(tracks.path, "track")
    table = pq.read_table(tracks.path, columns=["label", *TAGS]).combine_chunks()
    outer = ids.names
    if len(outer) < len(ids):
        first = np.flatnonzero(distinct(ids.codes))
        outer, table = outer.take(ids.codes[first]), table.take(first)
    items = ItemTable(
        outer=outer,
        label=Names(table["label"]),
        categories={name: np.asarray(table[name].to_numpy(), bool) for name in TAGS},
    )
    del table
    give_back()
    return items
