"""Commands that are not run are still ones that their programs take; grids on pages load."""

import re

import pytest
import yaml
from commands import CommandError, check, check_all, check_verbs, simple_commands
from markdown_pages import pages

from erase_ray.errors import EraseError
from erase_ray.experiment.grid import load_grid

PAGES = pages()
NOT_RUN = [b for page in PAGES for b in page.blocks if b.not_run is not None]
SHELL = [block for block in NOT_RUN if block.language == "sh"]
PYTHON = [block for block in NOT_RUN if block.language == "python"]
GRIDS = [
    block
    for page in PAGES
    for block in page.blocks
    if block.language == "yaml" and re.search(r"^blocks:", block.text, re.MULTILINE)
]
SPANS = [
    pytest.param(span, id=f"{page.path}: {span}")
    for page in PAGES
    for span in dict.fromkeys(
        re.findall(r"`((?:python|erase-ray) [^`\n]+)`", "\n".join(page.prose))
    )
]


def where(block):
    return block.where


@pytest.mark.parametrize("block", SHELL, ids=where)
def test_each_command_of_a_block_that_is_not_run_is_understood(block):
    check_all(block.text)


@pytest.mark.parametrize("block", PYTHON, ids=where)
def test_python_that_is_not_run_compiles(block):
    compile(block.text, block.where, "exec")


@pytest.mark.parametrize("block", GRIDS, ids=where)
def test_grids_on_pages_load(block, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(block.text)
    assert load_grid(path).cells


@pytest.mark.parametrize("span", SPANS)
def test_commands_in_prose_are_understood(span):
    if span.startswith("erase-ray"):
        check_verbs(span)
    elif "|" not in span:
        check(simple_commands(span)[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("erase-ray report ./runs --uot x --out y", "unrecognized arguments: --uot"),
        ("erase-ray reprot ./runs", "invalid choice: 'reprot'"),
        ("erase-ray report x --out y --only method=scif|gif", "what is gif?"),
        ("python jobs/no_such.py", "there is no jobs/no_such.py"),
        ("python jobs/full_grid.py --profil smoke --storge x", "unrecognized arguments: --storge"),
        ("python jobs/full_grid.py --profile huge", "invalid choice: 'huge'"),
        ("python jobs/full_grid.py --profile smoke --only methd=scif", "methd"),
        ("python jobs/full_grid.py --profile smoke --set training.epoch=1", "epoch"),
        ("python jobs/one_cell.py --grid smoke --only model=nothing", "nothing"),
        ("RAY=1 ray job submit -- python jobs/full_grid.py --nothing", "--nothing"),
        ("python benchmarks/planning.py nothing", "invalid choice: 'nothing'"),
        ("make everything", "no target everything"),
        ("pip install 'erase-ray[everything]'", "no extra is called everything"),
    ],
)
def test_a_wrong_command_is_found(line, told):
    with pytest.raises(CommandError) as caught:
        check_all(line)
    assert told in str(caught.value)


@pytest.mark.parametrize("span", ["erase-ray store verify|dou", "erase-ray stor du", "erase-ray x"])
def test_a_wrong_verb_is_found(span):
    with pytest.raises(CommandError, match="no verb is called"):
        check_verbs(span)


def test_commands_are_taken_apart_as_a_shell_does():
    text = """
    export A=1  # a remark
    make venv && source .venv/bin/activate
    for name in a b; do
      erase-ray status ./$name >out 2>&1 &
    done
    cat >grid.yaml <<'END'
    blocks: [nothing that is run]
    END
    python jobs/full_grid.py --profile smoke \\
        --only "method=scif|gif"
    """
    words = simple_commands(text)
    assert ["make", "venv"] in words
    assert ["erase-ray", "status", "./$name"] in words
    assert words[-1][-1] == "method=scif|gif"
    assert not any("blocks:" in each for each in words)


def test_a_grid_that_does_not_load_is_found(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({"blocks": [{"datasets": "planted", "modles": "bpr"}]}))
    with pytest.raises(EraseError, match="modles"):
        load_grid(path)
