"""What all commands share: dispatch, errors in one line, no Ray."""

import subprocess
import sys

import pytest

from erase_ray.cli import main as cli
from erase_ray.errors import DataError


def test_an_error_is_one_line_and_code_2(run):
    code, out, err = run("datasets", "describe", "plnted")
    assert (code, out) == (2, "")
    assert err.startswith("error: no dataset is called 'plnted'. Did you mean 'planted'? Known: ")
    assert err.count("\n") == 1


def failing(monkeypatch, error: BaseException) -> None:
    def fail(args) -> int:
        raise error

    monkeypatch.setattr("erase_ray.cli._list.run", fail)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("a\nb"), 2, "error: a b\n"),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_codes(run, monkeypatch, error, code, text):
    failing(monkeypatch, error)
    assert run("datasets", "list") == (code, "", text)


def test_what_only_we_can_mend_keeps_its_traceback(run, monkeypatch):
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run("datasets", "list")


@pytest.mark.parametrize("arguments", [[], ["datasets"], ["datasets", "nothing"], ["data"]])
def test_a_wrong_command_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: erase-ray" in capsys.readouterr().err


def test_ray_is_not_imported(tmp_path):
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from erase_ray.cli.main import main\n"
        "for verb in ('list', 'fetch planted', 'prepare planted', 'describe planted',"
        " 'check planted --scenario account', 'synthesize tafeng --no-truth --out made'):\n"
        "    code = main(['datasets', *verb.split()])\n"
        "    assert code == (verb.startswith('check')), verb\n"
        "assert not any(name.startswith('ray.') for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_engine_is_not_loaded_before_it_is_needed():
    # at the end of a process that has threads left it complains about leaks of its own
    program = (
        "import sys\n"
        "from erase_ray.datasets import DATASETS\n"
        "kinds = [DATASETS.get(name) for name in DATASETS.names()]\n"
        "assert len(kinds) > 9 and 'duckdb' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_program_is_installed_under_its_name():
    from importlib.metadata import entry_points

    found = [point.value for point in entry_points(group="console_scripts", name="erase-ray")]
    assert set(found) <= {"erase_ray.cli.main:main"}
