"""The commands of blocks that are not run, and of prose: taken apart and given to their parsers."""

import argparse
import contextlib
import functools
import io
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any
from unittest import mock

from markdown_pages import ROOT

from erase_ray.errors import EraseError
from erase_ray.experiment.grid import load_grid

GRIDS = ROOT / "jobs/grids"
ENDS = {"&&", "||", ";", "|", "&", "(", ")", ";;"}
LEADING = {"do", "then", "else", "if", "while", "time", "nohup", "$"}
OF_OTHERS = {
    *("cat", "cd", "chmod", "cp", "done", "echo", "export", "for", "ls", "mkdir", "rm", "sed"),
    *("curl", "docker", "gcloud", "git", "helm", "kubectl", "openssl", "ray", "source", "ssh"),
    *("mlflow", "tensorboard", "wandb", "weed"),
}
ELSEWHERE = {"recbole"}
"""Packages of other environments, whose scripts are only looked for."""
ASSIGNMENT = re.compile(r"^\w+=")
EXTRA = re.compile(r"^erase-ray\[([\w,-]+)\]$|^\.\[([\w,-]+)\]$")


class CommandError(AssertionError):
    """A command that its program would refuse."""


class _Parsed(Exception):
    """Carries what a parser made of the arguments, in place of doing it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self.arguments = arguments


def simple_commands(text: str) -> list[list[str]]:
    """The words of each simple command of a shell text.

    Comments, redirections, assignments before a command and bodies of here-documents are left out.
    """
    found: list[list[str]] = []
    for line in _lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if word in ENDS:
                found.append(words)
                words = []
            elif set(word) <= set("<>&"):
                words = words[:-1] if words and words[-1] in ("1", "2") else words
                skip = True
            elif skip:
                skip = False
            elif words or not (ASSIGNMENT.match(word) or word in LEADING):
                words.append(word)
    return [words for words in found if words]


def _lines(text: str) -> list[str]:
    lines, until = [], None
    for line in text.replace("\\\n", " ").splitlines():
        if until:
            until = None if line.strip() == until else until
            continue
        if here := re.search(r"<<-?\s*'?(\w+)'?", line):
            until = here[1]
        lines.append(line)
    return lines


def check(words: list[str]) -> None:
    """Give a command to the parser of its program.

    Raises:
        CommandError: Its program, script, option, grid, filter or setting does not exist.
    """
    program, *arguments = words
    name = Path(program).name
    if name == "erase-ray":
        from erase_ray.cli.main import main

        _parse(words, lambda: main(arguments))
    elif name in ("python", "python3", "python3.11"):
        _check_python(words, arguments)
    elif name == "make":
        _check_targets(words, arguments)
    elif name == "pip":
        _check_extras(words, arguments)
    elif name not in OF_OTHERS:
        raise CommandError(f"{shlex.join(words)}: what is {program}?")
    elif "--" in arguments:
        check(arguments[arguments.index("--") + 1 :])


def check_verbs(text: str) -> None:
    """Check the verbs of an ``erase-ray`` command that prose abbreviates, such as ``store du|gc``.

    Raises:
        CommandError: There is no such verb.
    """
    from erase_ray.cli.main import parser as command_line

    parser: argparse.ArgumentParser | None = command_line()
    for word in text.split()[1:]:
        verbs = _verbs(parser) if parser else {}
        if not verbs or not re.fullmatch(r"[a-z|-]+", word) or word.startswith("-"):
            return
        if missing := set(word.split("|")) - set(verbs):
            raise CommandError(f"{text}: no verb is called {', '.join(sorted(missing))}")
        parser = verbs.get(word)


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _parse(words: list[str], call: Any) -> argparse.Namespace:
    """What the parser that ``call`` makes says of its arguments; nothing else of it happens."""
    real = argparse.ArgumentParser.parse_args

    def parse_args(self: Any, *args: Any, **kwargs: Any) -> None:
        raise _Parsed(real(self, *args, **kwargs))

    told = io.StringIO()
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        contextlib.redirect_stderr(told),
        contextlib.redirect_stdout(told),
    ):
        try:
            call()
        except _Parsed as parsed:
            return parsed.arguments
        except ModuleNotFoundError as error:
            if error.name in ELSEWHERE:
                return argparse.Namespace()
            raise CommandError(f"{shlex.join(words)}: {error}") from error
        except SystemExit as error:
            if error.code in (0, None):  # --help
                return argparse.Namespace()
            raise CommandError(f"{shlex.join(words)}: {told.getvalue()}") from error
    raise CommandError(f"{shlex.join(words)}: has no parser")


def check_all(text: str) -> None:
    """:func:`check` each command of a shell text."""
    for words in simple_commands(text):
        check(words)


def _check_python(words: list[str], arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-c", "-m"):
        return
    script, *rest = arguments
    if Path(script).parts[0] not in ("jobs", "benchmarks"):
        return
    path = ROOT / script
    if not path.is_file():
        raise CommandError(f"{shlex.join(words)}: there is no {script}")
    if "argparse" not in path.read_text():
        return
    with (
        mock.patch.object(sys, "argv", [script, *rest]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
    ):
        parsed = _parse(words, lambda: runpy.run_path(str(path), run_name="__main__"))
    if script.startswith("jobs/"):
        _check_grid(words, vars(parsed))


def _check_grid(words: list[str], parsed: dict[str, Any]) -> None:
    name = str(parsed.get("grid") or parsed.get("profile") or "")
    path = GRIDS / f"{name}.yaml"
    if not path.is_file():  # a grid of the reader
        return
    try:
        _load(path, parsed.get("only", ""), tuple(parsed.get("changes") or parsed.get("set") or ()))
    except EraseError as error:
        raise CommandError(f"{shlex.join(words)}: {error}") from error


@functools.cache
def _load(path: Path, only: str, changes: tuple[str, ...]) -> None:
    load_grid(path, only, list(changes))


def _check_targets(words: list[str], arguments: list[str]) -> None:
    known = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for word in arguments:
        if "=" not in word and word not in known:
            raise CommandError(f"{shlex.join(words)}: the Makefile has no target {word}")


def _check_extras(words: list[str], arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in arguments:
        if match := EXTRA.match(word):
            for extra in (match[1] or match[2]).split(","):
                if extra not in project["optional-dependencies"]:
                    raise CommandError(f"{shlex.join(words)}: no extra is called {extra}")
