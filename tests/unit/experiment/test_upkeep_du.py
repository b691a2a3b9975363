import pytest
import torch
from upkeep_toys import BASE, SCIF, SEIF, cell, filled

from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.upkeep.du import usage


@pytest.fixture(params=["local", "memory"])
def home(request, tmp_path):
    uri = str(tmp_path) if request.param == "local" else f"memory://du{tmp_path}"
    store, *names = filled(uri)
    return store, open_blobs(uri), names


def test_every_file_is_counted_once_for_what_it_is(home):
    store, blobs, (base, first, second) = home
    orphan = store.put_weights({"w": torch.ones(7)})
    store.journal("9a" * 32, {}).save(Snapshot(1, {}, {"w": torch.ones(3)}))
    extra = {
        f"{cell(SCIF)}/pending": "leftovers of finished cells",
        "data/toy/d1/manifest.json": "data",
        "data/toy/d1/split.parquet": "data",
        "data/raw/films.csv": "raw and other files",
        "trash/5/" + "a" * 64: "trash",
        "weights/.x.tmp": "temporary files",
    }
    for name in extra:
        blobs.write(name, b"12345")
    kinds = usage(blobs)["kind"]
    sizes = {entry.name: entry.size for entry in blobs.entries("")}
    assert kinds.files == {
        "tables": 18,
        "logs": 3,
        "weights, full copies": 1,
        "weights, differences": 2,
        "weights that no cell names": 1,
        "runs": 1,
        "cells and data not finished": 1,
        "data": 2,
        "leftovers of finished cells": 1,
        "raw and other files": 1,
        "trash": 1,
        "temporary files": 1,
    }
    assert kinds.size["weights, full copies"] == sizes[f"weights/{base}"]
    expected = sizes[f"weights/{first}"] + sizes[f"weights/{second}"]
    assert kinds.size["weights, differences"] == expected
    assert kinds.size["weights that no cell names"] == sizes[f"weights/{orphan}"]
    assert kinds.size["data"] == 10
    assert kinds.size.total() == sum(sizes.values())


def test_shared_weights_count_for_the_cell_that_trained_them(home):
    _, blobs, (base, first, second) = home
    cells = usage(blobs)["cells"]
    sizes = {entry.name: entry.size for entry in blobs.entries("")}

    def own(key, *shas):
        inside = sum(size for name, size in sizes.items() if name.startswith(cell(key)))
        return inside + sum(sizes[f"weights/{sha}"] for sha in shas)

    assert cells.as_dict() == {
        "toy bpr base": {"bytes": own(BASE, base), "files": 8},
        "toy bpr scif": {"bytes": own(SCIF, first, second), "files": 9},
        "toy bpr seif": {"bytes": own(SEIF), "files": 7},
    }
    assert next(iter(cells.as_dict())) == "toy bpr base"


def test_a_damaged_manifest_hides_its_cell_alone(home):
    _, blobs, _ = home
    blobs.write(f"{cell(SCIF)}/manifest.json", b"{")
    found = usage(blobs)
    assert set(found["cells"].as_dict()) == {"toy bpr base", "toy bpr seif"}
    assert found["kind"].files["weights that no cell names"] == 2


def test_an_empty_store_has_nothing(tmp_path):
    assert usage(open_blobs(str(tmp_path)))["kind"].files.total() == 0
