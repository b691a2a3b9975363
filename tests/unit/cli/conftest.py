"""The toy dataset, known to the registry, and a user's cache inside the test."""

import pytest
from cli_toys import Toy, rows

from erase_ray.cli.main import main
from erase_ray.datasets import DATASETS


@pytest.fixture(autouse=True)
def own_world(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS._classes, "toy", Toy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ERASE_RAY_CACHE", raising=False)
    monkeypatch.delenv("ERASE_RAY_RAW", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def raw(tmp_path):
    """A user's folder with the raw file, found by its base name."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "toy.csv").write_text(rows())
    return folder


@pytest.fixture
def run(capsys):
    """Run a command; exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run
