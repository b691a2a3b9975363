"""Pages of the site that are not files of ``docs``: made ones, and those that lie elsewhere."""

import re
from pathlib import Path, PurePosixPath

import command_line
import settings_tables

ROOT = Path(__file__).parents[2]
SETTINGS = ("grid", "datasets", "models", "methods", "scenarios", "metrics", "audits")
COMMAND_LINE = "reference/command-line.md"
ELSEWHERE = {"cluster/README.md": "cluster/README.md", "cluster/laptop.md": "cluster/laptop.md"}
"""Pages outside of ``docs``, by where they are on the site."""
SOURCES = "source"
"""Folder of the site for other files of the repository that pages link to."""
LINK = re.compile(r"(\]\()([^)\s#:]+)")


def generated_paths() -> set[str]:
    """Where links may lead though no file is there, from the root of the repository."""
    names = [COMMAND_LINE, *(f"reference/settings/{name}.md" for name in SETTINGS)]
    return {f"docs/{name}" for name in names}


def generated() -> dict[str, str]:
    """Markdown of the made pages by their place in ``docs``."""
    made = {f"reference/settings/{name}.md": text for name, text in settings_tables.pages().items()}
    return made | {COMMAND_LINE: command_line.page()}


def on_site(page: str, text: str) -> str:
    """Markdown of a page with links to files outside of ``docs`` led to their place on the site.

    Args:
        page: Its place in ``docs``.
        text: Its Markdown.
    """
    source = _source_of(page)

    def led(match: re.Match[str]) -> str:
        target = _resolved(source, match[2])
        place = _place(target) if target else None
        return match[1] + (_relative(page, place) if place else match[2])

    return LINK.sub(led, text)


def linked_files(page: str, text: str) -> set[str]:
    """Files outside of ``docs`` that a page links to and that are no pages of the site."""
    source = _source_of(page)
    targets = {_resolved(source, match[2]) for match in LINK.finditer(text)}
    return {target for target in targets if target and not _is_page(target)}


def _is_page(target: str) -> bool:
    return target.startswith("docs/") or target in ("README.md", *ELSEWHERE.values())


def _source_of(page: str) -> str:
    return ELSEWHERE.get(page, f"docs/{page}")


def _resolved(source: str, link: str) -> str | None:
    """A linked file from the root of the repository; None if it is no file of it."""
    path = (ROOT / source).parent / link
    resolved = path.resolve()
    if not resolved.exists() or not resolved.is_relative_to(ROOT):
        return None
    found = resolved.relative_to(ROOT).as_posix()
    return f"{found}/README.md" if found in ("cluster", "docs") else found


def _place(target: str) -> str | None:
    """Where a file of the repository is on the site; None if it stays where it is."""
    if target == "README.md":
        return "index.md"
    for place, source in ELSEWHERE.items():
        if source == target:
            return place
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"{SOURCES}/{target}" if (ROOT / target).is_file() else None


def _relative(page: str, place: str) -> str:
    here, there = PurePosixPath(page).parent.parts, PurePosixPath(place).parts
    common = 0
    while common < min(len(here), len(there) - 1) and here[common] == there[common]:
        common += 1
    return "/".join([".."] * (len(here) - common) + list(there[common:]))
