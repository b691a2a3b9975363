"""No file of the package can reach a pickle past the restricted reader."""

import ast
from pathlib import Path

import pytest

import erase_ray

PACKAGE = Path(erase_ray.__file__).parent
MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
    *("jsonpickle", "hickle", "sklearn.externals.joblib"),
}
"""Modules whose readers run what they read."""
CALLS = {
    *("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
    *("pandas.read_pickle", "pd.read_pickle", "np.lib.format.read_array"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all"),
    *("eval", "exec"),
}
LOADERS = {"np.load", "numpy.load"}
PARSED_ONLY = {"pickletools"}
"""Takes pickles apart and runs nothing; only the machine of the reader may use it."""


def faults(source: str, where: str = "a file") -> list[str]:
    """What in a source text can read a pickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _imported(node):
                if name in MODULES or name.partition(".")[0] in MODULES:
                    found.append(f"{where}:{node.lineno} imports {name}")
                if name in CALLS:
                    found.append(f"{where}:{node.lineno} imports {name}")
                if name in PARSED_ONLY and not where.endswith("imports/_machine.py"):
                    found.append(f"{where}:{node.lineno} imports {name}")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            allows = [k.value for k in node.keywords if k.arg == "allow_pickle"]
            may = any(not (isinstance(v, ast.Constant) and v.value is False) for v in allows)
            if name in CALLS or name.endswith(".read_pickle") or may:
                found.append(f"{where}:{node.lineno} calls {name}")
            if name in ("importlib.import_module", "__import__", "getattr"):
                found += _indirect(node, where)
    return found


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    module = node.module or ""
    return [module, *(f"{module}.{alias.name}" for alias in node.names)]


def _indirect(node: ast.Call, where: str) -> list[str]:
    texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return [f"{where}:{node.lineno} reaches {t}" for t in texts if t in MODULES]


def sources() -> list[Path]:
    roots = [PACKAGE, PACKAGE.parent / "jobs"]
    return [path for root in roots for path in sorted(root.rglob("*.py"))]


def test_no_source_file_reads_pickles():
    assert len(sources()) > 200
    found = [f for path in sources() for f in faults(path.read_text(), path.as_posix())]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import cloudpickle as safe",
        "from joblib import load",
        "import shelve",
        "from torch import load",
        "x = torch.load(path)",
        "x = torch.load(path, weights_only=True)",
        "x = pd.read_pickle(path)",
        "x = frame.io.read_pickle(path)",
        "x = np.load(path, allow_pickle=True)",
        "x = np.load(path, allow_pickle=may)",
        "x = yaml.load(text, Loader=yaml.FullLoader)",
        "x = yaml.unsafe_load(text)",
        "x = importlib.import_module('pickle')",
        "x = eval(text)",
        "import pickletools",
    ],
)
def test_the_search_finds(line):
    assert faults(line)


def test_the_search_passes_what_is_safe():
    safe = "x = np.load(path)\ny = np.load(path, allow_pickle=False)\nz = yaml.safe_load(t)\n"
    assert faults(safe + "model.eval()\nsafetensors.torch.load_file(path)\n") == []
