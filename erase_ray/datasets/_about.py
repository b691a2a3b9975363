"""Facts about a public dataset: where it is from and what it may be used for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RawFile:
    """One file of the original distribution.

    Args:
        name: Path below the folder of raw files, such as ``relations/sessions.idomaar``. The file
            is also found by its base name, and with ``.gz`` added or left out.
        holds: What is in it, in a few words.
        size: As published or known, such as ``about 690 MB``; empty if unknown.
        optional: True if the reader works without it.
        address: Where this very file can be downloaded without signing in; empty if nowhere.
    """

    name: str
    holds: str
    size: str = ""
    optional: bool = False
    address: str = ""


@dataclass(frozen=True)
class About:
    """A dataset's papers.

    Args:
        title: Full name and publisher.
        licence: Terms of use, in a line.
        citation: The paper or page that its publishers ask to cite.
        address: Page from which a person downloads it.
        files: What the reader takes.
    """

    title: str
    licence: str
    citation: str
    address: str
    files: tuple[RawFile, ...] = ()
