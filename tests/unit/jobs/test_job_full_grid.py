"""The command line of the main job, as far as it needs no Ray."""

import logging
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3]


def job_in_a_process(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-X", "importtime", "jobs/full_grid.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    done.imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    lines = done.stderr.splitlines(keepends=True)
    done.stderr = "".join(line for line in lines if not line.startswith("import time:"))
    return done


@pytest.fixture
def job(monkeypatch, capsys):
    """The script as a program in this process, which has loaded torch already."""
    monkeypatch.chdir(ROOT)
    # without handlers, as in a new process: the script sends its log to standard error
    monkeypatch.setattr(logging.root, "handlers", [])

    def run(*arguments) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["jobs/full_grid.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path("jobs/full_grid.py", run_name="__main__")
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=out, stderr=err)

    return run


def test_dry_run_prints_the_plan_without_ray(tmp_path):
    done = job_in_a_process("--profile", "laptop", "--dry-run", "--storage", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("41 cells: 0 done, 41 to run\n")
    for word in ("CPU-hours", "$", "critical path", "GB"):
        assert word in done.stdout
    assert done.stderr == ""
    assert "erase_ray.experiment.plan" in done.imported
    assert not [name for name in done.imported if name.split(".")[0] == "ray"]


def test_all_formats_and_scenarios_are_planned(job, tmp_path):
    done = job("--profile", "formats", "--dry-run", "--storage", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    # 19 pairs of dataset and scenario, each with the original, two chains and four retrainings
    assert "133 cells: 0 done, 133 to run" in done.stdout
    # nine formats; spam needs a base of its own on five of them
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  data")] == [
        "9"
    ]
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  base")] == [
        "14"
    ]


def test_full_names_all_that_does_not_exist_or_plans(job, tmp_path):
    done = job("--profile", "full", "--dry-run", "--storage", str(tmp_path / "runs"))
    if done.returncode == 0:
        assert done.stdout.splitlines()[0].endswith("to run")
    else:
        assert done.returncode == 2
        assert done.stderr.startswith("error: no ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--set", "methods=[scff]"], "no method is called 'scff' (did you mean 'scif'?)"),
        (["--only", "modle=bpr"], "there is no key 'modle' (did you mean 'model'?)"),
        (["--grid", "nowhere.yaml"], "cannot read settings file nowhere.yaml: No such file"),
        (["--storage", "/dev/null/runs"], "/dev/null/runs"),
        (["--budget", "0"], "the plan is expected to cost $0.00, above --budget 0; raise it, or"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(job, tmp_path, arguments, text):
    storage = tmp_path / "runs"
    defaults = ["--profile", "smoke", "--storage", str(storage)]
    done = job(*defaults, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr
    written = [path for path in storage.rglob("*") if path.is_file()]
    assert written == []


def test_a_relative_folder_in_a_submitted_job_is_refused(job, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    done = job("--profile", "smoke", "--dry-run", "--storage", "./runs")
    assert done.returncode == 2
    assert "--storage ./runs would lie in the copy of the project" in done.stderr
    done = job("--profile", "smoke", "--dry-run", "--storage", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
