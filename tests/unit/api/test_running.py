"""Run grids in this process, and read what they measured."""

import io
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from matplotlib.figure import Figure

import erase_ray
from erase_ray.api import progress as progress_module
from erase_ray.api import running
from erase_ray.api.results import COLUMNS
from erase_ray.distributed import main
from erase_ray.errors import GridError, SettingsError, StoreError
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.imports.stored import put_imported
from erase_ray.report.options import Options

BLOCK = {
    "datasets": {"planted": {"task": "cf", "num_users": 60, "num_items": 76}},
    "models": {"bpr": {"embedding_size": 8}},
    "training": {"epochs": 2, "batch_size": 256},
    "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.012}},
}
GRID = {"seeds": [2, 3], "methods": ["original", "retrain", "none"], "blocks": [BLOCK]}


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def results(storage) -> erase_ray.Results:
    return erase_ray.run(GRID, storage, progress=False)


def test_cells_and_keys_are_those_of_the_job(results, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(GRID))
    assert [cell.key for cell in results.cells] == [cell.key for cell in load_cells(path)]
    assert len(results) == 12
    assert results.failures == []


def test_bytes_are_those_of_the_job(results, storage, tmp_path):
    """What `jobs/one_cell.py` calls for each node gives the same results, byte by byte."""
    other = Store(str(tmp_path))
    cells = running._loaded(GRID, "method=none,seed=3", []).cells
    for node in build(cells, other).pending():
        run_node(node.payload, other.uri)
    ours = Store(storage)
    for cell in cells:
        assert ours.cell_file(cell.key, "results.parquet") == other.cell_file(
            cell.key, "results.parquet"
        )
        assert ours.manifest(cell.key)["weights"] == other.manifest(cell.key)["weights"]


def test_what_is_there_is_not_run_again(results, storage):
    steps = []
    again = erase_ray.run(GRID, storage, progress=steps.append)
    assert steps == []
    assert [cell.key for cell in again.cells] == [cell.key for cell in results.cells]


def test_a_part_and_changes(storage):
    some = erase_ray.run([BLOCK | {"methods": ["original", "none"], "seeds": [2]}], storage,
                         only="method=none", set={"seeds": [3], "training.epochs": 2})  # fmt: skip
    assert set(some.frame["seed"]) == {3}
    assert set(some.frame["method"]) == {"none"}


def test_frames_are_tidy_and_typed(results):
    assert {name: str(kind) for name, kind in results.frame.dtypes.items()} == COLUMNS
    assert set(results.frame["source"]) == {"erase_ray"}
    assert {"seconds_train", "seconds_request"} <= set(results.costs["metric"])
    assert set(results.requests["method"]) == {"retrain", "none"}
    assert {"status", "cell", "seed"} <= set(results.requests.columns)


def test_a_pivot_is_the_mean_over_seeds(results):
    wide = results.pivot("recall", 20)
    assert list(wide.columns) == ["original", "retrain", "none"]
    frame = results.frame
    own = frame[(frame["metric"] == "recall") & (frame["k"] == 20) & (frame["mark"] == 4)
                & (frame["method"] == "retrain")]  # fmt: skip
    assert own["seed"].tolist() == [2, 3]
    assert wide["retrain"].tolist() == [pytest.approx(own["value"].mean(), abs=1e-12)]


def test_a_pivot_says_what_there_is(results):
    with pytest.raises(SettingsError, match=r"no metric 'recal' .* Did you mean 'recall'"):
        results.pivot("recal")
    with pytest.raises(SettingsError, match=r"not measured at k=7, mark=4; .* \[10, 20\]"):
        results.pivot("recall", 7)


def test_the_leaderboard_is_that_of_the_report(results):
    board = results.leaderboard(Options(intervals=False))
    assert board["method"].tolist() == ["original", "retrain", "none"]
    wide = results.pivot("ndcg", 20)
    for method, utility in zip(board["method"], board["utility"], strict=True):
        assert utility == pytest.approx(wide[method].iloc[0])


def test_the_figure_shows_means_bars_and_the_target(results):
    figure = results.plot(utility=("recall", 20))
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "recall@20 (higher is better)"
    assert axes.get_xlabel() == "sensitive_share@20 (lower is better)"
    bars: list[Any] = list(axes.containers)
    recall, share = results.pivot("recall", 20), results.pivot("sensitive_share", 20)
    assert [bar.get_label() for bar in bars] == ["none", "original", "retrain"]
    for bar in bars:
        point, _, ends = bar.lines
        x, y = point.get_xydata()[0].tolist()
        assert x == pytest.approx(share[bar.get_label()].iloc[0])
        assert y == pytest.approx(recall[bar.get_label()].iloc[0])
        assert len(ends) == 2  # two seeds, two directions
    target: list[Any] = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(target) == 2
    assert target[0].get_xdata()[0] == pytest.approx(share["retrain"].iloc[0])
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_notebook_shows_a_table(results):
    html = results._repr_html_()
    assert "recall@20" in html
    assert "12 cells" in html


def test_results_are_loaded_from_any_address(results, storage):
    again = erase_ray.load_results(storage)
    assert len(again.frame) >= len(results.frame) > 0
    one = erase_ray.load_results(storage, only="method=none,seed=2")
    assert set(one.frame["method"]) == {"none"}
    run = Store(storage).runs()[0]
    assert len(erase_ray.load_results(storage, run=run)) >= 1
    with pytest.raises(StoreError, match="no plan of a run 'x'"):
        erase_ray.load_results(storage, run="x")
    with pytest.raises(SettingsError, match="no finished cell has this method"):
        erase_ray.load_results(storage, only="method=scif")
    with pytest.raises(SettingsError, match=r"no source 'ersae'. Did you mean 'erase'"):
        erase_ray.load_results(storage, source="ersae")  # type: ignore[arg-type]


def test_imported_rows_have_a_source(results, storage, tmp_path):
    store = Store(str(tmp_path))
    erase_ray.run(GRID | {"methods": ["original"]}, tmp_path, progress=False)
    named = {"method": "scif", "source": "erase", "metric": "recall", "k": 20, "mark": 4}
    row = results.frame.iloc[[0]].assign(**named)
    put_imported(store._blobs, "paper", row, {}, {})

    both = erase_ray.load_results(str(tmp_path))
    assert set(both.frame["source"]) == {"erase_ray", "erase"}
    assert both.pivot("recall", 20).index.names[-1] == "source"
    only = erase_ray.load_results(str(tmp_path), only="method=scif")
    assert only.frame["source"].tolist() == ["erase"]
    theirs = erase_ray.load_results(str(tmp_path), source="erase")
    assert theirs.frame["method"].tolist() == ["scif"]
    assert theirs.frame["value"].tolist() == row["value"].tolist()
    assert "1 imported numbers" in repr(theirs)
    ours = erase_ray.load_results(str(tmp_path), source="erase_ray")
    assert set(ours.frame["source"]) == {"erase_ray"}


def test_failures_do_not_stop_the_others(tmp_path, monkeypatch):
    def execute(payload, storage):
        if payload["kind"] == "cell" and payload["cell"]["method"]["name"] == "none":
            raise RuntimeError("it rains")
        return run_node(payload, storage)

    monkeypatch.setattr(main, "run_node", execute)
    grid = GRID | {"seeds": [2], "methods": ["none", "original"]}
    steps: list[erase_ray.Step] = []
    found = erase_ray.run(grid, tmp_path, progress=steps.append)
    assert [one["error"] for one in found.failures] == ["RuntimeError: it rains"]
    assert set(found.frame["method"]) == {"original"}
    assert "1 failed" in repr(found)
    assert sorted(step.status for step in steps) == ["done", "done", "done", "failed"]
    assert steps[-1].done == steps[-1].total == 4
    assert {step.note for step in steps if step.status == "failed"} == {"RuntimeError: it rains"}


def test_an_interrupt_leaves_the_rest_for_later(tmp_path, monkeypatch):
    class Stop:
        left = 2

    def execute(payload, storage):
        if not Stop.left:
            raise KeyboardInterrupt
        Stop.left -= 1
        return run_node(payload, storage)

    grid = GRID | {"seeds": [2], "methods": ["original"]}
    monkeypatch.setattr(main, "run_node", execute)
    with pytest.raises(KeyboardInterrupt):
        erase_ray.run(grid, tmp_path, progress=False)
    monkeypatch.setattr(main, "run_node", run_node)
    steps: list[erase_ray.Step] = []
    assert len(erase_ray.run(grid, tmp_path, progress=steps.append)) == 1
    assert [step.label for step in steps] == ["planted:cf/bpr/original/s2"]


def test_threads_are_as_before(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        erase_ray.run(GRID | {"methods": ["original"], "seeds": [2]}, tmp_path, progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("error", "grid", "text"),
    [
        (GridError, "smok", r"no grid is called 'smok', .* no \.yaml file. Did you mean 'smoke'"),
        (SettingsError, "nowhere.yaml", "cannot read settings file nowhere.yaml"),
        (SettingsError, {"blocks": [BLOCK | {"methds": "scif"}]}, "methds: Extra inputs"),
        (GridError, GRID | {"methods": ["scfi"]}, r"no method is called 'scfi' \(did you mean"),
        (SettingsError, GRID | {"methods": [object()]}, "something else than texts, numbers"),
    ],
)  # fmt: skip
def test_errors_of_grids(error, grid, text, tmp_path):
    with pytest.raises(error, match=text):
        erase_ray.run(grid, tmp_path)


def test_profiles_are_found_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert running._found("smoke").name == "smoke.yaml"
    cells = running._loaded("smoke", "model=bpr", ["training.epochs=1"]).cells
    assert {cell.training.epochs for cell in cells} == {1}


def test_changes_may_be_texts_or_values():
    values = {"seeds": [2, 3], "training.epochs": 3, "methods": "all", "limit_s": None}
    texts = ["seeds=[2, 3]", "training.epochs=3", "methods=all", "limit_s=null"]
    assert running._assignments(values) == texts
    assert running._assignments(texts) == texts
    assert running._assignments("seeds=[2]") == ["seeds=[2]"]


def test_a_notebook_draws_over_its_line(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(progress_module, "in_notebook", lambda: True)
    monkeypatch.setattr(progress_module.sys, "stdout", stream)
    told = progress_module.Reporter(2, "fit bpr", None)
    told("epoch 0", "epoch", "loss 0.7")
    told("epoch 1", "epoch", "loss 0.6")
    told.close("best epoch 1, 0.1 s")
    lines = stream.getvalue().split("\r")
    assert [line.strip() for line in lines if line.strip()] == [
        "[1/2] fit bpr | epoch 0: epoch, loss 0.7",
        "[2/2] fit bpr | epoch 1: epoch, loss 0.6",
        "[2/2] fit bpr | best epoch 1, 0.1 s",
    ]


def test_time_passes_while_a_cell_runs(tmp_path, monkeypatch):
    ticks = []

    class Counting(progress_module.Calling):
        def tick(self) -> None:
            ticks.append(1)

    monkeypatch.setattr(running, "watchers_of", lambda *_: [Counting(lambda step: None)])
    monkeypatch.setattr(
        running, "ticking", lambda watchers: progress_module.ticking(watchers, every_s=0.01)
    )
    erase_ray.run(GRID | {"methods": ["original"], "seeds": [2]}, tmp_path)
    assert len(ticks) > 5


def test_an_empty_store_gives_empty_frames(tmp_path):
    Store(str(tmp_path))
    nothing = erase_ray.load_results(str(tmp_path))
    assert len(nothing) == 0
    assert list(nothing.frame.columns) == list(COLUMNS)
    assert len(nothing.requests) == 0
    assert isinstance(nothing.costs, pd.DataFrame)
