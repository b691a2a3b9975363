"""``erase-ray import ...``: one line an error, exit 2, and nothing half done."""

import json
import pickle

import pytest
import torch

from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plain_weights import read_plain
from erase_ray.experiment.store import Store
from erase_ray.imports.stored import imported_results

HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
BASE = "model_BPR_seed_2_dataset_toy_best.pth"
FORGET = "toy_unlearn_pairs_sensitive_category_meat_seed_2_unlearning_fraction_0.0001.inter"


@pytest.fixture
def folder(tmp_path):
    """A folder of artefacts: data, a base model, a forget set and a log."""
    place = tmp_path / "erase"
    place.mkdir()
    lines = [
        f"u{user}\ti{item}\t5\t{user * 10 + item}.0\n" for user in range(3) for item in range(4)
    ]
    (place / "toy.inter").write_text(HEAD + "".join(lines))
    (place / FORGET).write_text(HEAD + lines[1] + lines[6])
    state = {
        "user_embedding.weight": torch.arange(8.0).view(4, 2),
        "item_embedding.weight": torch.arange(10.0).view(5, 2),
    }
    torch.save({"state_dict": state, "config": {"model": "BPR"}, "epoch": 1}, place / BASE)
    result = "test result: OrderedDict([('recall@10', 0.5), ('ndcg@10', 0.25)])"
    (place / "run.log").write_text(f"Saving current: saved/{BASE}\n{result}\n")
    return place


def test_weights(run, folder, tmp_path):
    out = tmp_path / "plain"
    code, text, _ = run(
        "import", "weights", folder / BASE, "--out", out, "--inter", folder / "toy.inter"
    )
    assert code == 0
    table = "user_embedding.weight 4 x 2 user_embedding.weight 3 x 2 padding row left out"
    assert " ".join(text.splitlines()[1].split()) == table
    assert text.splitlines()[-3:] == [
        "bpr: embedding_size 2",
        "3 users, 4 items; all tensors of the file are used",
        f"weights in {out}",
    ]
    plain = read_plain(out)
    assert plain.facts.source["file"] == BASE
    assert plain.state["item_embedding.weight"][0].tolist() == [2, 3]


def test_weights_as_json(run, folder, tmp_path):
    code, text, _ = run("import", "weights", folder / BASE, "--out", tmp_path / "p", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["model"] == "bpr"
    assert len(found["tensors"]) == 2
    assert found["notes"] == [
        "no outer ids: rows keep the order of the file, number i is i - 1 here"
    ]


def test_weights_in_the_order_of_a_dataset(run, folder, tmp_path):
    store = tmp_path / "runs"
    assert run("import", "recbole-data", folder / "toy.inter", "--storage", store)[0] == 0
    more = ("--inter", folder / "toy.inter", "--storage", store, "--onto", "table")
    code, text, _ = run("import", "weights", folder / BASE, "--out", tmp_path / "p", *more)
    assert code == 0
    assert "rows in our order" in text
    code, _, error = run(
        "import", "weights", folder / BASE, "--out", tmp_path / "q", *more[:-1], "x"
    )
    assert code == 2
    assert error.startswith("error: 'x' names 0 prepared datasets of ")


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_hostile_weights_are_one_line_and_exit_2(run, tmp_path):
    mark, path = tmp_path / "written", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": Exploit(mark)}))
    code, out, error = run("import", "weights", path, "--out", tmp_path / "p", "--model", "bpr")
    assert (code, out) == (2, "")
    assert error.startswith("error: evil.pth asks for 'builtins.exec', which is not read: only ")
    assert error.count("\n") == 1
    assert not mark.exists()
    assert not (tmp_path / "p").exists()


def test_a_folder_is_not_overwritten(run, folder, tmp_path):
    (tmp_path / "p").mkdir()
    code, _, error = run("import", "weights", folder / BASE, "--out", tmp_path / "p")
    assert code == 2
    assert "exists; name another folder" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--inter", "toy.inter", "--items", "i.txt"), "--inter says all ids"),
        (("--users", "u.txt"), "--users needs --items as well"),
        (("--name", "a"), "--name a: expected NAME=VALUE"),
        (("--items", "none.txt"), "cannot read none.txt"),
    ],
)
def test_options_that_do_not_go_together(run, folder, options, message):
    code, _, error = run("import", "weights", folder / BASE, "--out", "p", *options)
    assert code == 2
    assert message in error


def test_data_as_a_grid(run, folder, tmp_path):
    path = tmp_path / "grid.yaml"
    code, text, _ = run("import", "recbole-data", folder / "toy.inter", "--out", path, "--core", 2)
    assert (code, text) == (0, f"1 datasets in {path}\n")
    assert load_cells(path)[0].dataset.settings["core"] == 2
    code, text, _ = run("import", "recbole-data", folder / "toy.inter", "--core", 2)
    assert text == path.read_text()
    code, _, error = run("import", "recbole-data", folder / "toy.inter", "--out", path)
    assert code == 2
    assert "exists" in error


def test_data_with_a_category(run, folder, tmp_path):
    (tmp_path / "meat.txt").write_text("i1\n")
    more = ("--category", f"meat={tmp_path / 'meat.txt'}", "--out", tmp_path / "g.yaml")
    assert run("import", "recbole-data", folder, *more)[0] == 0
    (cell, *_) = load_cells(tmp_path / "g.yaml")
    assert cell.scenario is not None
    assert cell.scenario.settings["category"] == "meat"


def test_a_folder_of_artefacts_is_told(run, folder):
    code, text, _ = run("import", "erase", folder)
    assert code == 0
    assert text.splitlines()[-1] == "4 files: 1 base model, 1 forget set, 1 interactions, 1 log"
    assert "toy, BPR, seed 2" in text


def test_and_taken_in(run, folder, tmp_path):
    store = tmp_path / "runs"
    run("import", "recbole-data", folder / "toy.inter", "--storage", store)
    more = ("--storage", store, "--name", "paper", "--data", "toy=table")
    code, text, _ = run("import", "erase", folder, *more, "--weights", tmp_path / "weights")
    assert code == 0
    assert text.splitlines()[-3:] == ["place: imported/paper", "rows: 2", "requests: 1"]
    frame = imported_results(Store(str(store)))
    assert frame[["metric", "value", "source"]].to_numpy().tolist() == [
        ["recall", 0.5, "erase"],
        ["ndcg", 0.25, "erase"],
    ]
    manifest = json.loads(open_blobs(str(store)).read("imported/paper/manifest.json") or b"")
    assert manifest["rounded"]["decimals"] == 4
    assert set(manifest["read"]) == {BASE, FORGET, "run.log"}
    assert set(manifest["files"]) == {"results.parquet", f"requests_{FORGET}.parquet"}
    assert read_plain(tmp_path / "weights" / BASE.removesuffix(".pth")).vocabulary
    assert run("store", "verify", store)[0] == 0
    code, _, error = run("import", "erase", folder, *more)
    assert code == 2
    assert "has imported/paper already" in error


def test_what_is_left_out_is_said_and_exit_is_1(run, folder, tmp_path):
    code, text, _ = run("import", "erase", folder, "--storage", tmp_path / "runs", "--name", "a")
    assert code == 1
    assert f"{FORGET}: the store has no prepared toy" in text
    code, _, error = run("import", "erase", folder, "--storage", tmp_path / "runs")
    assert code == 2
    assert "--storage and --name go together" in error
