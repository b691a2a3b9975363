"""What sections of the page are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from erase_ray.report.sheets import Sheet


@dataclass(frozen=True)
class Figure:
    """A chart with its caption, a remark and the numbers behind it.

    Args:
        title: Above it.
        caption: How to read it.
        svg: The drawing; empty where there is nothing to draw.
        sheet: The same numbers.
        remark: Below it.
        source: Name of the table that holds the numbers of all such charts.
    """

    title: str
    caption: str
    svg: Markup
    sheet: Sheet
    remark: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """Name of its file, without ending: the id of the drawing."""
        head = self.svg.partition('aria-labelledby="')[2]
        return head.partition("-title")[0]


@dataclass(frozen=True)
class Words:
    """Sentences; a warning stands out."""

    kind: ClassVar[str] = "words"
    texts: Sequence[str]
    title: str = ""
    is_warning: bool = False
    is_list: bool = False


@dataclass(frozen=True)
class Pairs:
    """Terms with what they are."""

    kind: ClassVar[str] = "pairs"
    pairs: Sequence[tuple[str, str]]
    style: str = "settings"


@dataclass(frozen=True)
class Table:
    """A table; its data are the frame ``source``."""

    kind: ClassVar[str] = "table"
    sheet: Sheet
    source: str = ""
    is_sortable: bool = True
    is_filtered: bool = False
    title: str = ""


@dataclass(frozen=True)
class Charts:
    """Charts side by side, or one under the other where they are wide."""

    kind: ClassVar[str] = "charts"
    figures: Sequence[Figure]
    is_wide: bool = False


@dataclass(frozen=True)
class Code:
    """What to type."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Links:
    """Places on the page."""

    kind: ClassVar[str] = "links"
    title: str
    links: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Part:
    """A part with a heading of its own.

    Args:
        id: Unique on the page.
        title: Its heading.
        blocks: What is in it.
        is_folded: True to show its title alone until it is opened.
    """

    kind: ClassVar[str] = "part"
    id: str
    title: str
    blocks: Sequence["Block"]
    is_folded: bool = False


Block = Words | Pairs | Table | Charts | Code | Links | Part


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        id: Unique on the page.
        title: Its heading.
        lead: What is shown, and how to read it.
        blocks: What is in it.
    """

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]


def figures_in(blocks: Sequence[Block]) -> list[Figure]:
    """All charts in some blocks, in order."""
    found: list[Figure] = []
    for block in blocks:
        if isinstance(block, Charts):
            found += [figure for figure in block.figures if figure.svg]
        elif isinstance(block, Part):
            found += figures_in(block.blocks)
    return found
