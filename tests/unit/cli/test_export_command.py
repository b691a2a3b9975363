import subprocess
import sys

import pytest

from erase_ray.experiment.store import CellRecord, Store

SETTINGS = {
    "dataset": {"name": "toy", "settings": {}},
    "model": {"name": "bpr", "settings": {}},
    "training": {"epochs": 3},
    "scenario": None,
    "method": {"name": "base", "settings": {}},
    "seed": 1,
    "mark": None,
}


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "runs"))
    store.put_cell("ef" * 32, CellRecord(SETTINGS))
    shadow = SETTINGS | {"shadow": {"index": 0, "count": 2}}
    store.put_cell("ab" * 32, CellRecord(shadow))
    return store


def test_export_says_what_it_did(run, store, tmp_path):
    ask = ("export", store.uri, "--to", "tensorboard", "--out", tmp_path / "tb")
    code, out, _ = run(*ask)
    left = "; shadow models left out: 1 (--shadows exports them)"
    assert (code, out) == (0, f"cells exported to {tmp_path / 'tb'}: 1 new, 0 were there{left}\n")
    assert len(list((tmp_path / "tb").rglob("events.out.tfevents.*"))) == 1
    code, out, _ = run(*ask, "--shadows")
    assert (code, out) == (0, f"cells exported to {tmp_path / 'tb'}: 1 new, 1 were there\n")


def test_mistakes_end_with_2_and_one_line(run, store, tmp_path):
    ask = ("export", store.uri, "--to", "tensorboard", "--out", tmp_path / "tb")
    code, _, err = run(*ask, "--only", "seed=2")
    assert (code, err) == (
        2,
        "error: --only seed=2: no finished cell has this seed. The store has: 1\n",
    )
    code, _, err = run(*ask, "--run", "x")
    assert (code, err) == (2, f"error: no plan of a run 'x'; {store.uri} has no runs\n")
    with pytest.raises(SystemExit, match="2"):
        run("export", store.uri, "--to", "excel", "--out", "x")


def test_the_verbs_need_neither_ray_nor_an_optional_library(store):
    names = "('ray', 'tensorboardX', 'mlflow', 'wandb')"
    code = (
        "import sys; from erase_ray.cli.main import main; "
        f"main(['compare', {store.uri!r}, {store.uri!r}]); "
        f"assert not set(sys.modules) & set({names}), set(sys.modules) & set({names})"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
