"""Weights of RecBole's classes give RecBole's scores after the import.

The scores of the golden files were computed by RecBole 1.2.1 itself, see
``benchmarks/recbole_golden.py``; ``recbole_files/`` has a whole checkpoint that it wrote.
"""

import json
from pathlib import Path

import pytest
import torch
from their_files import checkpoint, golden

from erase_ray.experiment.plain_weights import read_plain
from erase_ray.imports.checkpoints import read_checkpoint
from erase_ray.imports.ids import recbole_ids
from erase_ray.imports.weights import Choices, import_weights
from erase_ray.tasks._batches import PairBatch, WindowBatch

HERE = Path(__file__).parent / "recbole_files"
CLASSES = {
    "bpr": "BPR",
    "lightgcn": "LightGCN",
    "sgl": "SGL",
    "gru4rec": "GRU4Rec",
    "narm": "NARM",
    "sasrec": "SASRec",
    "srgnn": "SRGNN",
}


@pytest.mark.parametrize("name", CLASSES)
def test_scores_are_those_of_recbole(tmp_path, name):
    state, tensors, notes = golden(name)
    config = json.loads(notes["settings"]) | {"model": CLASSES[name], "MAX_ITEM_LIST_LENGTH": 6}
    path = checkpoint(tmp_path / "a.pth", state, config)
    imported = import_weights(read_checkpoint(path), name)
    assert {moved.theirs for moved in imported.report} == set(state)
    imported.write(tmp_path / "plain", {"file": "a.pth"})
    model = read_plain(tmp_path / "plain").build().eval()
    if model.has_edges:
        model.set_edges(tensors["edges.user"], tensors["edges.item"])
    with torch.no_grad():
        found_BI = model.scores(_batch(tensors))
    torch.testing.assert_close(found_BI, tensors["scores"], rtol=1e-5, atol=1e-5)


def _batch(tensors):
    if "batch.user_id" in tensors:
        return PairBatch(tensors["batch.user_id"][0])
    length_B = tensors["batch.item_length"][0]
    items_BL = tensors["batch.item_id_list"][0][:, : int(length_B.max())]
    return WindowBatch(items_BL, length_B)


def test_a_checkpoint_that_recbole_wrote(tmp_path):
    said = json.loads((HERE / "bpr.json").read_text())
    read = read_checkpoint(HERE / "model_BPR_seed_2_dataset_toy_best.pth")
    assert read.config.items() >= said["config"].items()
    ids = recbole_ids(HERE / "toy.inter", read.config)
    assert ids.users == said["users"]
    assert ids.items == said["items"]
    imported = import_weights(read, choices=Choices(ids=ids))
    assert imported.model == "bpr"
    assert imported.notes == []
    imported.write(tmp_path / "plain", {"file": read.path.name})
    plain = read_plain(tmp_path / "plain")
    assert plain.vocabulary is not None
    assert plain.vocabulary["item"] == said["items"]
    with torch.no_grad():
        found_BI = plain.build().scores(PairBatch(torch.arange(len(said["users"]))))
    torch.testing.assert_close(found_BI, torch.tensor(said["scores"]), rtol=1e-5, atol=1e-6)
