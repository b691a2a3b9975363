"""The borders and traps among the made-up lines of 30Music."""

import json
from typing import Any

import numpy as np

TAGS = {
    "health": (154395, 15345, 233689, 214036, 59294),
    "explicit": (77138, 193026, 174963),
}
"""Tag ids of each category, written down a second time on purpose: this is the oracle's copy."""
START_S = 1_400_000_000
BOTH, ONLY_DROPPED, BIG, NO_TAGS = 900_000_001, 900_000_002, 9_007_199_254_740_993, 900_000_003
LEADING, PLAIN, UNKNOWN, UNCLEAN = "0042", "42", 900_000_004, 900_000_005


def _track(id_: int | str, name: str | None, tags: list[Any] | None, planted: str = "") -> bytes:
    about: dict[str, Any] = {"duration": -1, "name": name}
    if planted:
        about["planted"] = planted.split()
    relations = {"artists": [], "albums": [{"type": "album", "id": 193026}]}
    if tags is not None:
        relations["tags"] = [{"type": "tag", "id": tag} for tag in tags]
    texts = (json.dumps(value, separators=(",", ":")) for value in (about, relations))
    return ("track\t{}\t-1\t{}\t{}\n".format(id_, *texts)).encode()


TRAP_TRACKS = (
    _track(BOTH, "Both/_/Of+Them", [77138, 154395], planted="health explicit"),
    _track(ONLY_DROPPED, "Never/_/Played", [174963], planted="explicit"),
    _track(BIG, "Big/_/100%25+sure", ["233689"], planted="health"),
    _track(NO_TAGS, None, None),
    _track(LEADING, "%D0%9C%D0%B8%D1%80/_/Zero+zero", []),
    _track(UNCLEAN, "Caf%E9/_/100%", [1]),
)
"""Two categories; a track that only a session without a user plays; an id beyond 53 bits with its
tag id as text; no name and no tags; leading zeros in front of another id; names that are no clean
UTF-8. All of them have an album with the number of a sensitive tag."""


def trap_lines(sensitive: dict[str, np.ndarray]) -> list[bytes]:
    """Lines of ``sessions.idomaar`` with ids that no drawn session has.

    Args:
        sensitive: Drawn track numbers of each category, at least three.
    """
    hot = [int(item) for item in sensitive["explicit"][:3]]
    every = {int(item) for items in sensitive.values() for item in items}
    cold = [item for item in range(40) if item not in every][:12]
    lines = [*_without(hot), *_ids(hot, cold), *_order(cold), *_borders(hot, cold)]
    return [*lines, *_positions(hot, cold), *_lengths(cold)]


def _without(hot: list[int]) -> list[bytes]:
    """No user, no plays, no id, no key at all."""
    plays = [_play(ONLY_DROPPED, 0), _play(hot[0], 60)]
    user = [{"type": "user", "id": 900_000_001}]
    return [
        _line("s-none", {"subjects": [], "objects": plays}),
        _line("s-null", {"subjects": None, "objects": plays}),
        _line("s-nokey", {"objects": plays}),
        _line("s-noid", {"subjects": [{"type": "user"}], "objects": plays}),
        _line("s-empty", {"subjects": user, "objects": []}),
        _line("s-noplays", {"subjects": user}),
        _line("s-untimed", {"subjects": user, "objects": [_play(hot[0], None)]}),
        _line("s-notrack", {"subjects": user, "objects": [{"type": "track", "playstart": 0}]}),
        _line("s-nothing", {}),
    ]


def _ids(hot: list[int], cold: list[int]) -> list[bytes]:
    """Ids as numbers and as texts, with leading zeros, beyond 53 bits, and with other letters."""
    plays = [_play(LEADING, 0), _play(PLAIN, 100), _play(42, 200), _play(BIG, 300)]
    more = [_play(BOTH, 0), _play(NO_TAGS, 50), _play(UNKNOWN, 60), _play(UNCLEAN, 70)]
    return [
        _session("000077", "007", plays),
        _session("s-000077", 7_000_000_000_000_000_001, [*more, _play(hot[1], 90)]),
        _session("séance 1", "Zoë", [_play(cold[0], 0), _play(BOTH, 10), _play(BOTH, 20)]),
    ]


def _order(cold: list[int]) -> list[bytes]:
    """Equal times, plays out of order, one play twice, and sessions that lie inside each other."""
    tied = [_play(cold[item], 30) for item in (3, 1, 2)]
    mixed = [_play(cold[4], 500), _play(cold[5], 0), _play(cold[5], 0), _play(cold[6], -20)]
    return [
        _session("t-1", "tied", [*tied, *mixed]),
        _session("t-2", "tied", [_play(cold[7], 30), _play(cold[0], 31)]),
    ]


def _borders(hot: list[int], cold: list[int]) -> list[bytes]:
    """People with 2 and 3 sensitive and 2 and 3 other plays, one who has nothing else, repeats."""
    lines = []
    for num_hot, num_cold in ((2, 2), (2, 3), (3, 2), (3, 3), (4, 0)):
        tracks = [*hot, hot[0]][:num_hot] + cold[:num_cold]
        name = f"b-{num_hot}-{num_cold}"
        lines.append(_session(name, name, [_play(t, 60 * k) for k, t in enumerate(tracks)]))
    return [*lines, _session("b-r", "again", [_play(hot[0], 9 * k) for k in range(3)])]


def _positions(hot: list[int], cold: list[int]) -> list[bytes]:
    """Sessions of eleven plays whose one sensitive play is first, last but one, or last."""
    lines = []
    for place in (0, 9, 10):
        tracks = [hot[2] if k == place else cold[k] for k in range(11)]
        plays = [_play(track, 60 * k) for k, track in enumerate(tracks)]
        lines.append(_session(f"p-{place}", f"p-{place}", plays))
    return lines


def _lengths(cold: list[int]) -> list[bytes]:
    """Sessions of one to four plays, and of sixty."""
    lines = []
    for length in (1, 2, 3, 4, 60):
        plays = [_play(cold[k % 11], 60 * k) for k in range(length)]
        lines.append(_session(f"l-{length}", f"l-{length}", plays))
    return lines


def _play(track: int | str, playstart: int | None) -> dict[str, Any]:
    play: dict[str, Any] = {"type": "track", "id": track, "action": "play"}
    return play if playstart is None else play | {"playstart": playstart}


def _session(session: str, user: int | str, plays: list[dict[str, Any]]) -> bytes:
    return _line(session, {"subjects": [{"type": "user", "id": user}], "objects": plays})


def _line(session: str, relations: dict[str, Any]) -> bytes:
    numbers = {"numtracks": len(relations.get("objects") or []), "playtime": -1}
    parts = (
        json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in (numbers, relations)
    )
    return f"event.session\t{session}\t{START_S}\t{' '.join(parts)}\n".encode()
