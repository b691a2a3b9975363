"""The example package: installed by pip, checked, run without Ray, and seen in the report."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from outside import ROOT, run

EXAMPLE = ROOT / "docs/examples/erase_ray_fade"
MOST_LINES = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder into which pip has put the package, without network."""
    folder = tmp_path_factory.mktemp("site")
    copy = tmp_path_factory.mktemp("source") / "fade"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(copy)], check=True)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(copy)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_method_has_fewer_lines_of_code_than_a_screen():
    text = (EXAMPLE / "erase_ray_fade/fade.py").read_text()
    doc = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [
        line
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and number not in doc and not line.strip().startswith("#")
    ]
    assert len(lines) < MOST_LINES


STEPS = """
import contextlib, io, json, runpy, sys
import pytest
from erase_ray.cli.main import main

example, root, folder = sys.argv[1:]
told = {}

def step(name, call, *arguments):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = call(*arguments)
    told[name] = [int(code or 0), text.getvalue()]

def one_cell(only):
    options = ["--storage", f"{folder}/runs", "--set", "training.epochs=2", "--only", only]
    sys.argv = ["one_cell.py", "--grid", f"{example}/grid.yaml", *options]
    runpy.run_path(f"{root}/jobs/one_cell.py", run_name="__main__")

step("check", main, ["check", "erase-ray-fade", "--quick"])
step("tests", pytest.main, ["-p", "no:cacheprovider", "-k", "book", example])
step("original", one_cell, "task=cf,method=original")
step("fade", one_cell, "task=cf,method=fade")
step("report", main, ["report", f"{folder}/runs", "--out", f"{folder}/report", "--format", "csv"])
json.dump(told, open(f"{folder}/told.json", "w"))
"""
"""All that a user does with it, in one process: starting one takes longer than the steps."""


@pytest.fixture(scope="module")
def done(site, tmp_path_factory) -> tuple[dict[str, list], Path]:
    """Exit code and output of each step, and the folder of the report's tables."""
    folder = tmp_path_factory.mktemp("done")
    ended = run(site, "-c", STEPS, EXAMPLE, ROOT, folder)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return json.loads((folder / "told.json").read_text()), folder / "report/tables"


def test_it_keeps_the_contract(done):
    code, text = done[0]["check"]
    assert code == 0, text
    assert text.startswith("method fade\n")
    assert "metric average_precision\n" in text
    assert text.splitlines()[-1].endswith(" 0 failed, 1 skipped")


def test_its_own_tests_pass(done):
    code, text = done[0]["tests"]
    assert code == 0, text
    assert "1 passed" in text


def test_it_is_in_the_leaderboard_of_a_run_without_ray(done):
    told, tables = done
    assert [told[name][0] for name in ("original", "fade", "report")] == [0, 0, 0]
    board = pd.read_csv(tables / "leaderboard.csv").set_index("method")
    assert board.loc["fade", "family"] == "general-purpose"
    assert board.loc["fade", "applied"] > 0
    means = pd.read_csv(tables / "by_mark.csv")
    found = means[(means["metric"] == "average_precision") & (means["method"] == "fade")]
    assert set(found["mark"]) == {1, 2, 3, 4}
    assert found["mean"].between(0, 1).all()


def test_the_page_shows_the_method_as_it_is():
    page = (ROOT / "docs/extending.md").read_text()
    assert (EXAMPLE / "erase_ray_fade/fade.py").read_text() in page
