"""``erase-ray new``: a package of every kind that passes its own tests."""

import sys
import tomllib
from pathlib import Path

import pytest

from erase_ray.contract import KINDS

sys.path.append(str(Path(__file__).parents[1] / "contract"))
from outside import install
from outside import run as run_python


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_told_and_complete(run, kind, tmp_path):
    code, out, err = run("new", kind, "my_own", "--out", tmp_path)
    folder = tmp_path / "erase-ray-my-own"
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{folder} holds the {kind} 'my_own'. Next:"
    assert f"  erase-ray check {kind} my_own" in out
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {
        f"erase_ray.{kind}s": {"my_own": "erase_ray_my_own.my_own:MyOwn"}
    }
    assert (folder / "grid.yaml").exists()
    text = "".join(path.read_text() for path in folder.rglob("*.*") if path.is_file())
    assert "$" not in text


def test_packages_of_all_kinds_pass_their_tests_and_plan_their_grids(run, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for kind in KINDS:
        assert run("new", kind, f"my_{kind}", "--out", tmp_path)[0] == 0
        install(site, tmp_path / f"erase-ray-my-{kind}")
    tests = sorted(tmp_path.glob("erase-ray-my-*/tests"))
    assert len(tests) == len(KINDS)
    # with all six, as every metric that is installed is computed in every cell
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import pytest\n"
        "from erase_ray.cli.main import main\n"
        "from erase_ray.experiment.grid import load_cells\n"
        "for path in Path(sys.argv[1]).glob('*/grid.yaml'):\n"
        "    assert len(load_cells(path)) >= 3, path\n"
        "assert main(['datasets', 'list']) == 0\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[2:]]))\n"
    )
    done = run_python(site, "-c", program, tmp_path, *tests)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "my_dataset" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["method", "Fade"], "'Fade' cannot be the name of a part: take small letters, digits"),
        (["method", "2fade"], "cannot be the name of a part"),
        (["method", "class"], "and no word of Python's"),
        (["method", "_fade"], "cannot be the name of a part"),
        (["method", "scif"], "there is a method called 'scif'; take another name"),
        (["metric", "scif"], "there is a method called 'scif'; take another name"),
        (["method", "original"], "'original' means something else already"),
        (["methods", "fade"], "no kind is called 'methods'. Did you mean 'method'?"),
    ],
)
def test_bad_names_are_refused(run, tmp_path, arguments, text):
    code, _, err = run("new", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert text in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(run, tmp_path):
    assert run("new", "method", "fade", "--out", tmp_path)[0] == 0
    part = tmp_path / "erase-ray-fade/erase_ray_fade/fade.py"
    part.write_text("mine")
    code, _, err = run("new", "method", "fade", "--out", tmp_path)
    assert code == 2
    assert "erase-ray-fade is there already; move it away, or use --out DIR" in err
    assert part.read_text() == "mine"
