"""The commands of the pages: that programs, flags, files and options in them exist."""

import functools
import re
import shlex

import click
import pytest
from cluster_files import FOLDER, ROOT, commands, loaded
from ray.scripts.scripts import cli as ray_cli

from erase_ray.experiment.grid import load_grid

PAGES = ["README.md", "laptop.md"]
ALL = [(page, command) for page in PAGES for command in commands(page)]


def ray_commands():
    """``ray`` calls of all pages, less variables, quotes and background marks."""
    found = []
    for page, line in ALL:
        for part in re.split(r"&&|\|\||(?<!&)&$", line):
            words = shlex.split(part)
            if words[:1] == ["ray"]:
                found.append(pytest.param(words[1:], id=f"{page}: {part.strip()[:50]}"))
    return found


def parsed(words):
    """Context of a ``ray`` call, with click's own refusal of what does not exist."""
    command: click.Command = ray_cli
    words = list(words)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command = found
    return command.make_context(command.name, words, resilient_parsing=False)


@pytest.mark.parametrize("words", ray_commands())
def test_ray_has_the_command_and_its_flags(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").mkdir()
    for name in ("aws.yaml", "gcp.yaml"):
        (tmp_path / "build" / name).touch()
    parsed(words)


@pytest.mark.parametrize(
    "line", ["start --head --dashboard-hots=x", "job submt -- true", "job logs", "up"]
)
def test_a_wrong_command_is_found(line):
    with pytest.raises(click.UsageError):
        parsed(shlex.split(line))


def test_the_pages_have_what_a_user_does():
    kinds = {
        tuple(p.values[0][:2]) if p.values[0][0] == "job" else p.values[0][0]
        for p in ray_commands()
    }
    assert {"start", "up", "down", "status", "stop", "dashboard", ("job", "submit")} <= kinds


def job_lines():
    """Command lines of the main job on all pages."""
    found = [re.search(r"python (jobs/full_grid\.py.*)", line) for _, line in ALL]
    return [shlex.split(match.group(1)) for match in found if match]


@pytest.mark.parametrize("words", job_lines(), ids=" ".join)
def test_the_main_job_takes_its_options(words, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("full_grid", ROOT / words[0])
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", words)
    args = module.arguments()
    assert num_cells(args.profile) > 0


@functools.cache
def num_cells(profile):
    return len(load_grid(ROOT / "jobs" / "grids" / f"{profile}.yaml", "", []).cells)


def test_submitted_jobs_name_a_storage_that_outlives_them():
    submitted = [line for _, line in ALL if "ray job submit" in line]
    assert len(submitted) == 2
    for line in submitted:
        assert re.search(r"--storage (s3://|gs://|\$HOME|/)", line), line
        assert "--runtime-env cluster/runtime_env.yaml --working-dir ." in line


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_of_the_pages_exist(page):
    content = (FOLDER / page).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", content)
    named = re.findall(r"\b(?:cluster|jobs)/[\w.]+\.(?:yaml|py|txt|md)\b", content)
    missing = [x for x in links if not (FOLDER / x).exists()]
    missing += [x for x in named if not (ROOT / x).exists()]
    assert missing == []
    assert links or page != "README.md"


def test_what_sed_replaces_is_in_the_files():
    (line,) = [line for _, line in ALL if line.startswith("sed ")]
    replaced = re.findall(r"s\|([^|]+)\|", line)
    assert len(replaced) == 3
    files = {name: (FOLDER / name).read_text() for name in ("aws.yaml", "gcp.yaml", "kuberay.yaml")}
    assert all(replaced[0] in content for content in files.values())
    assert "my-bucket" in replaced
    assert "my-bucket" in files["kuberay.yaml"]
    assert loaded("gcp.yaml")["provider"]["project_id"] in replaced
