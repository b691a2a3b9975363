"""A terminal and a Python prompt in a scratch folder, in which the blocks of a page are run."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from markdown_pages import Block, Page
from scratch import SERVER_PORT, Scratch

HERE = Path(__file__).parent
BLOCK_S = 300.0
ENDING_S = 5.0
SHELL = """
set -euo pipefail
if [ -e "$DOCS_STATE" ]; then source "$DOCS_STATE"; fi
source "$DOCS_BLOCK"
{ declare -px; printf 'cd %q\\n' "$PWD"; } >"$DOCS_STATE"
"""


class BlockError(AssertionError):
    """A block that did not end with 0."""


class Terminal:
    """Runs blocks in order; variables that are exported and the folder stay from one to the next.

    Args:
        folder: An empty folder: `jobs`, `docs/examples` and others of the repository are put there.
        warm: Socket of the process of `warm.py`.
        small_store: A store that ``small-store FOLDER`` copies; empty if there is none.
    """

    def __init__(self, folder: Path, warm: str, small_store: str = "") -> None:
        self._scratch = Scratch(folder)
        self.folder = self._scratch.work
        self.environment = self._scratch.environment(warm, small_store)
        self._output = self._scratch.own / "output"
        self._groups: list[int] = []
        self._prompt: subprocess.Popen[str] | None = None

    def run(self, page: Page) -> int:
        """Run what is to be run of a page; the number of blocks.

        Raises:
            BlockError: A block failed; the message has what it printed.
        """
        done = 0
        for block in page.blocks:
            if block.is_printed:
                self._compare(block)
            if block.not_run is not None or block.language not in ("sh", "python"):
                continue
            for command in block.before:
                self._shell(block, command)
            if block.language == "sh":
                self._shell(block, block.text)
            else:
                self._python(block)
            done += 1
        return done

    def _shell(self, block: Block, text: str) -> None:
        script = text.replace(SERVER_PORT, str(self._scratch.port))
        Path(self.environment["DOCS_BLOCK"]).write_text(script)
        with self._output.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", SHELL],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._groups.append(process.pid)
        try:
            code = process.wait(BLOCK_S)
        except subprocess.TimeoutExpired:
            self._fail(block, f"takes more than {BLOCK_S:.0f} s", text)
        else:
            self._forget(process.pid)
            if code:
                self._fail(block, f"ends with {code}", text)

    def _compare(self, block: Block) -> None:
        if block.text not in self._output.read_text(errors="replace"):
            self._fail(block, "is not what was printed", block.text)

    def _python(self, block: Block) -> None:
        if self._prompt is None:
            self._prompt = self._open_prompt()
        assert self._prompt.stdin
        assert self._prompt.stdout
        print(json.dumps([block.where, block.text]), file=self._prompt.stdin, flush=True)
        if self._prompt.stdout.readline().strip() != "ok":
            self._fail(block, "fails", block.text)

    def _open_prompt(self) -> subprocess.Popen[str]:
        with self._output.open("w") as output:
            process = subprocess.Popen(
                [str(self._scratch.programs / "python"), str(HERE / "session.py")],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._groups.append(process.pid)
        return process

    def _fail(self, block: Block, what: str, text: str) -> None:
        printed = self._output.read_text(errors="replace")[-4000:]
        raise BlockError(f"{block.where} {what}:\n{text}\n--- it printed\n{printed}")

    def _forget(self, group: int) -> None:
        """Drop a group without members, whose number may become that of others."""
        if not _has_members(group):
            self._groups.remove(group)

    def close(self) -> None:
        """End what blocks left running."""
        if self._prompt:
            assert self._prompt.stdin
            self._prompt.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._prompt.wait(ENDING_S)
            self._forget(self._prompt.pid)
        for group in self._groups:
            _end(group)
        for left in Path("/tmp").glob(f"seaweedfs-*-{self._scratch.port}.sock"):
            left.unlink(missing_ok=True)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _end(group: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + ENDING_S
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
        while _has_members(group) and time.monotonic() < deadline:
            time.sleep(0.05)
