"""The names of the package: cheap to import, documented, and as the page says."""

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import erase_ray

ROOT = Path(erase_ray.__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "docs" / "examples" / "first_figure.ipynb"
MODULES = ["running", "results", "fitting", "unlearning", "wrapping", "progress", "answering"]


def test_importing_the_package_loads_neither_torch_nor_ray():
    program = (
        "import sys, time; start = time.process_time(); import erase_ray; "
        "took = time.process_time() - start; dir(erase_ray); "
        "heavy = [n for n in ('torch', 'ray', 'pandas', 'numpy', 'pydantic') if n in sys.modules]; "
        "print(took < 0.05, heavy)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == "True []", told.stderr


def test_calls_do_not_load_ray():
    program = (
        "import sys, erase_ray; [getattr(erase_ray, name) for name in erase_ray.__all__]; "
        "print('ray' in sys.modules, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == "False True", told.stderr


def test_every_name_is_there_and_documented():
    for name in erase_ray.__all__:
        found = getattr(erase_ray, name)
        assert name in dir(erase_ray)
        assert name == "__version__" or found.__doc__, name
    assert set(erase_ray._HOMES) | {"__version__"} == set(erase_ray.__all__)


def test_unknown_names_are_told():
    with pytest.raises(AttributeError, match="module 'erase_ray' has no attribute 'unlern'"):
        erase_ray.unlern  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"erase_ray.api.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_page_names_every_function():
    text = PAGE.read_text()
    table = text[text.index("## Names") :]
    for name in set(erase_ray.__all__) - {"Step", "Wrapped", "__version__"}:
        assert f"`{name}" in table, name
    assert len(re.findall(r"```python", text)) > 5


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    names: dict = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "first_figure.ipynb", "exec"), names)
    assert set(names["results"].frame["method"]) == {"original", "retrain", "scif", "kookmin"}
    assert names["figure"].axes
    assert all(not cell["outputs"] for cell in cells)
