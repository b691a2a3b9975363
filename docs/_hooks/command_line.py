"""The page about the command line, from the argument parsers themselves."""

import argparse
import runpy
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

ROOT = Path(__file__).parents[2]
SCRIPTS = ("jobs/full_grid.py", "jobs/one_cell.py")
HEAD = """# Command line

Made from the parsers of the commands. Errors are one line on standard error. Exit codes: 0 all is
well, 1 what was looked at is not, 2 there is something to mend, 130 stopped with Ctrl-C.
"""


class _Found(Exception):
    """Carries the parser of a script, in place of running it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def page() -> str:
    """Markdown of every command with its options."""
    from erase_ray.cli.main import parser as command_line

    sections = [HEAD, *(_section(script_parser(name)) for name in SCRIPTS)]
    for parser in leaves(command_line()):
        sections.append(_section(parser))
    return "\n".join(sections)


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of commands that have no further verbs, in order."""
    verbs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not verbs:
        yield parser
    for action in verbs:
        for inner in action.choices.values():
            yield from leaves(inner)


def script_parser(name: str) -> argparse.ArgumentParser:
    """The parser that a script makes."""

    def parse_args(self: argparse.ArgumentParser, *_: Any) -> NoReturn:
        raise _Found(self)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        mock.patch.object(sys, "argv", [name]),
    ):
        try:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        except _Found as found:
            found.parser.prog = f"python {name}"
            return found.parser
    raise ValueError(f"{name} parses no arguments")


def _section(parser: argparse.ArgumentParser) -> str:
    text = [f"## {parser.prog}", "", _sentence(parser), "", "```text", *_usage(parser), "```", ""]
    actions = [action for action in parser._actions if action.dest != "help"]
    if actions:
        text += ["| argument | default | meaning |", "|---|---|---|", *map(_row, actions), ""]
    if parser.epilog:
        text += [_cell(parser.epilog), ""]
    return "\n".join(text)


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    words = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return textwrap.wrap(
        words, 90, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _sentence(parser: argparse.ArgumentParser) -> str:
    return " ".join((parser.description or "").split())


def _row(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if action.option_strings:
        shown = f"`{' '.join([', '.join(action.option_strings), str(value)]).strip()}`"
    else:
        shown = f"`{value}`"
    return f"| {shown} | {_default(action)} | {_meaning(action)} |"


def _default(action: argparse.Action) -> str:
    if not action.option_strings:
        return "needed" if action.nargs not in ("?", "*") else ""
    if action.required:
        return "needed"
    if action.default in (None, argparse.SUPPRESS, False, True, "", []):
        return ""
    return f"`{action.default}`"


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": ""} if action.help else ""
    if action.choices and action.nargs != 0:
        text = f"{text}; one of {', '.join(f'`{choice}`' for choice in action.choices)}"
    return _cell(text.lstrip("; "))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
