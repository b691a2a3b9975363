"""The harness itself: it runs what it should, in order, and fails where a page is wrong."""

import importlib.util
import os
import time

import pytest
from markdown_pages import parse
from terminal import BlockError, Terminal

PRINTED = "<!-- printed by the block above -->\n```text\n{}\n```\n"


@pytest.fixture
def terminal(warm, tmp_path):
    one = Terminal(tmp_path, warm)
    yield one
    one.close()


def sh(text, *remarks):
    return "\n".join([*remarks, "```sh", text, "```", ""])


def python(text):
    return f"```python\n{text}\n```\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (sh("erase-ray sttaus ./runs"), "invalid choice: 'sttaus'"),
        (sh("erase-ray status ./no-store"), "page.md:1 ends with 2"),
        (sh("false | true"), "ends with 1"),
        (sh("echo $NO_SUCH_VARIABLE"), "unbound variable"),
        (sh("python jobs/one_cell.py --gird smoke"), "unrecognized arguments: --gird"),
        (sh("true", "<!-- run before: cat nothing -->"), "nothing: No such file"),
        (sh("echo 12 cells") + PRINTED.format("13 cells"), "is not what was printed"),
        (python("first = 1") + python("second = frist"), "NameError: name 'frist'"),
        (python("import erase_ray.no_such_module"), "ModuleNotFoundError"),
        (python("raise SystemExit(0)"), "SystemExit"),
    ],
)
def test_a_page_that_is_wrong_fails_and_says_where(terminal, text, told):
    with pytest.raises(BlockError) as caught:
        terminal.run(parse("page.md", text))
    assert told in str(caught.value)


def test_later_blocks_see_what_earlier_ones_did(terminal):
    text = (
        sh("export COLOUR=red\nmkdir -p inner && cd inner\nhidden=1")
        + sh('test "$COLOUR" = red\ntest "$(basename "$PWD")" = inner\ntest -z "${hidden:-}"')
        + python("one = 1")
        + python("assert one == 1")
    )
    assert terminal.run(parse("page.md", text)) == 4


def test_what_a_page_says_was_printed_is_compared(terminal):
    text = sh("echo first; echo 12 cells; echo last") + PRINTED.format("12 cells\nlast")
    assert terminal.run(parse("page.md", text)) == 1


def test_what_a_page_installs_stays_with_it(terminal):
    text = sh(
        "mkdir own\n"
        "echo 'def main(): print(41)' >own/own_part.py\n"
        'printf \'[project]\\nname = "own-part"\\nversion = "1"\\n'
        '[project.entry-points."some.group"]\\nmain = "own_part:main"\\n\' >own/pyproject.toml\n'
        "python -m pip install --quiet --no-deps ./own\n"
        "echo 'from importlib.metadata import entry_points\n"
        'entry_points(group="some.group")["main"].load()()\' >say.py\n'
        'test "$(python say.py)" = 41'
    )
    assert terminal.run(parse("page.md", text)) == 1
    assert importlib.util.find_spec("own_part") is None


def test_what_is_not_to_be_run_is_not(terminal):
    remarks = ("<!-- not run: costs money -->",)
    text = sh("touch spent", *remarks) + "```yaml\nblocks: [}\n```\n```text\nfalse\n```\n"
    assert terminal.run(parse("page.md", text)) == 0
    assert not (terminal.folder / "spent").exists()


def test_commands_run_with_the_home_and_variables_of_the_page(terminal, monkeypatch):
    text = sh(
        "echo 'import os, sys; print(os.environ[\"HOME\"], *sys.argv)' >say.py\n"
        'test "$(python say.py a b)" = "$HOME say.py a b"\n'
        'test "$(python -c "print(1)")" = 1\n'
        "test -z ${AWS_ACCESS_KEY_ID:-}"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    assert terminal.run(parse("page.md", text)) == 1
    assert terminal.environment["HOME"].startswith(str(terminal.folder.parent))


def test_what_a_block_leaves_in_the_background_ends_with_the_page(terminal):
    text = sh(
        "echo 'import time; time.sleep(600)' >wait.py\n"
        "sleep 600 & echo $! >>pids\npython wait.py & echo $! >>pids"
    )
    terminal.run(parse("page.md", text))
    pids = [int(pid) for pid in (terminal.folder / "pids").read_text().split()]
    assert all(map(_is_alive, pids))
    terminal.close()
    deadline = time.monotonic() + 10
    while any(map(_is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_alive, pids))


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
