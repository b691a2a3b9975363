"""The pages as data: blocks with what is said before them, headings, links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(\s*)(`{3,})\s*([\w-]*)[^`]*$")
REMARK = re.compile(
    r"^\s*<!--\s*(not run:|run before:|printed by the block above)\s*(.*?)\s*-->\s*$"
)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        where: Page and line, as ``docs/status.md:12``.
        language: Word after the fence; empty if there is none.
        text: What is in it.
        before: Hidden commands of the lines ``<!-- run before: COMMAND -->`` above.
        not_run: Reason of a line ``<!-- not run: REASON -->`` above; None if there is none.
        is_printed: Whether a line ``<!-- printed by the block above -->`` says so.
    """

    where: str
    language: str
    text: str
    before: tuple[str, ...] = ()
    not_run: str | None = None
    is_printed: bool = False


@dataclass(frozen=True)
class Page:
    """A page of the documentation.

    Args:
        path: From the root of the repository.
        text: All of it.
        blocks: In order.
        prose: Lines outside of blocks.
    """

    path: str
    text: str
    blocks: tuple[Block, ...]
    prose: tuple[str, ...]

    @property
    def anchors(self) -> set[str]:
        """Names that a link may have after ``#``."""
        found: set[str] = set()
        for line in self.prose:
            if match := HEADING.match(line):
                found.add(_unused(slug(match[1]), found))
        return found

    @property
    def links(self) -> list[str]:
        """Targets of all links."""
        prose = COMMENT.sub("", "\n".join(self.prose))
        return LINK.findall(re.sub(r"`[^`\n]*`", "", prose))


def pages() -> list[Page]:
    """README.md, and every page in ``docs`` and ``cluster``."""
    paths = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("cluster/*.md")]
    return [read(path.relative_to(ROOT).as_posix()) for path in sorted(paths)]


def read(path: str, root: Path = ROOT) -> Page:
    """One page."""
    return parse(path, (root / path).read_text(encoding="utf-8"))


def parse(path: str, text: str) -> Page:
    """A page from its text.

    Raises:
        ValueError: A block without an end, or a remark without a block.
    """
    blocks: list[Block] = []
    prose: list[str] = []
    remarks: list[tuple[str, str]] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if fence := FENCE.match(line):
            blocks.append(_block(f"{path}:{number}", fence, _inside(lines, fence, path), remarks))
            remarks = []
        elif remark := REMARK.match(line):
            remarks.append((remark[1], remark[2]))
        elif remarks:
            raise ValueError(f"{path}:{number}: no block follows directly on a remark about one")
        else:
            prose.append(line)
    if remarks:
        raise ValueError(f"{path}: no block follows on the last remark")
    return Page(path, text, tuple(blocks), tuple(prose))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _unused(name: str, used: set[str]) -> str:
    number, free = 0, name
    while free in used:
        number += 1
        free = f"{name}-{number}"
    return free


def _inside(lines, fence: re.Match[str], path: str) -> str:
    indent, end = fence[1], fence[2]
    inside = []
    for _, line in lines:
        if line.strip() == end:
            return "\n".join(inside) + "\n"
        inside.append(line.removeprefix(indent))
    raise ValueError(f"{path}: a block without an end")


def _block(where: str, fence: re.Match[str], text: str, remarks: list[tuple[str, str]]) -> Block:
    before = tuple(value for kind, value in remarks if kind == "run before:")
    reasons = [value for kind, value in remarks if kind == "not run:"]
    is_printed = any(kind.startswith("printed") for kind, _ in remarks)
    if reasons and not reasons[0]:
        raise ValueError(f"{where}: 'not run' without a reason")
    return Block(where, fence[3], text, before, reasons[0] if reasons else None, is_printed)
