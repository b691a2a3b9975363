"""What a name on the command line means: a part, or all parts of an installed package."""

import re
from collections.abc import Iterator, Sequence

from erase_ray.contract._candidate import KINDS, Candidate
from erase_ray.errors import UnknownNameError
from erase_ray.registry import known_names


def find(names: Sequence[str]) -> list[Candidate]:
    """The parts that are meant.

    Args:
        names: ``[NAME]``, ``[KIND, NAME]`` or ``[DISTRIBUTION]``.

    Raises:
        UnknownNameError: Nothing has this name; the text has the closest one.
    """
    if len(names) == 2:
        return [_of_kind(*names)]
    (name,) = names
    parts = [Candidate(kind, name) for kind, known in KINDS.items() if name in known.names()]
    parts = parts or list(parts_of(name))
    if not parts:
        raise UnknownNameError(f"no part and no installed package is called '{name}'.{_hint(name)}")
    return parts


def parts_of(distribution: str) -> Iterator[Candidate]:
    """The parts that an installed package offers, kind by kind."""
    wanted = _normal(distribution)
    for kind, registry in KINDS.items():
        for name, origin in sorted(registry.outside().items()):
            if _normal(origin.distribution) == wanted:
                yield Candidate(kind, name)


def distributions() -> list[str]:
    """Installed packages that offer parts, sorted."""
    return sorted(
        {
            origin.distribution
            for registry in KINDS.values()
            for origin in registry.outside().values()
        }
    )


def _of_kind(kind: str, name: str) -> Candidate:
    if kind not in KINDS:
        raise UnknownNameError(f"no kind is called '{kind}'.{known_names(kind, list(KINDS))}")
    known = KINDS[kind].names()
    if name not in known:
        raise UnknownNameError(f"no {kind} is called '{name}'.{known_names(name, known)}")
    return Candidate(kind, name)


def _hint(name: str) -> str:
    """The closest name, and what else there is."""
    parts = sorted({part for registry in KINDS.values() for part in registry.names()})
    return known_names(name, [*parts, *distributions()])


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
