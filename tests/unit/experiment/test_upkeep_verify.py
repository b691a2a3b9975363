import hashlib
import json
import pickle

import pytest
import torch
from upkeep_toys import BASE, SCIF, cell, filled, put, table

from erase_ray.errors import StoreError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.verify import verify


@pytest.fixture(params=["local", "memory"])
def uri(request, tmp_path):
    return str(tmp_path) if request.param == "local" else f"memory://verify{tmp_path}"


@pytest.fixture
def blobs(uri):
    filled(uri)
    return open_blobs(uri)


def only(verdict):
    (finding,) = verdict.findings
    return finding


def flip(blobs, name):
    data = bytearray(blobs.read(name) or b"")
    data[-1] ^= 1
    blobs.write(name, bytes(data))


def test_an_intact_store_has_no_findings(blobs, uri):
    Store(uri).journal("9a" * 32, {}).save(Snapshot(1, {}, {"w": torch.ones(3)}))
    verdict = verify(blobs)
    assert verdict.findings == []
    # three cells of manifest and six files, three weights, a snapshot
    assert verdict.num_files == 3 * 7 + 3 + 1
    everything = [e for e in blobs.entries("") if not e.name.startswith("runs/")]
    assert verdict.num_bytes == sum(entry.size for entry in everything)


def test_a_changed_file_is_named_with_a_way_out(blobs):
    flip(blobs, f"{cell(SCIF)}/log.jsonl")
    finding = only(verify(blobs))
    assert finding.name == f"{cell(SCIF)}/log.jsonl"
    assert finding.problem == "its bytes do not have the SHA-256 of its manifest"
    assert finding.remedy == f"delete the folder {cell(SCIF)} and run the same command again"


def test_missing_and_truncated_files_are_found(blobs):
    blobs.remove(f"{cell(SCIF)}/settings.yaml")
    blobs.write(f"{cell(BASE)}/log.jsonl", b"{}")
    problems = {finding.name: finding.problem for finding in verify(blobs).findings}
    assert problems == {
        f"{cell(SCIF)}/settings.yaml": "it is not there",
        f"{cell(BASE)}/log.jsonl": "it has 2 bytes, its manifest says 17",
    }


def replace(blobs, name, data, new_name=None):
    """Put other content and a manifest that vouches for it."""
    manifest = json.loads(blobs.read(f"{cell(SCIF)}/manifest.json"))
    said = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest["files"][new_name or name] = said
    blobs.write(f"{cell(SCIF)}/{new_name or name}", data)
    blobs.write(f"{cell(SCIF)}/manifest.json", json.dumps(manifest).encode())


@pytest.mark.parametrize("name", ["results.parquet", "log.jsonl", "settings.yaml"])
def test_files_that_cannot_be_read_are_found_though_their_checksum_is_right(blobs, name):
    replace(blobs, name, b"{[")
    assert only(verify(blobs)).problem.startswith("it cannot be read: ")


def test_a_pickle_is_a_finding_and_is_not_opened(blobs):
    replace(blobs, "x.pkl", pickle.dumps(1))
    assert only(verify(blobs)).problem == "it cannot be read: a pickle, which is never opened"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{", "is missing or not what was committed"),
        (b'{"format": 99}', "has format 99, this version reads format 1"),
    ],
)
def test_manifests_that_are_none_are_found(blobs, data, problem):
    blobs.write(f"{cell(SCIF)}/manifest.json", data)
    finding = only(verify(blobs))
    assert finding.name == f"{cell(SCIF)}/manifest.json"
    assert problem in finding.problem


def test_a_manifest_in_the_wrong_folder_is_found(blobs):
    for entry in blobs.entries(cell(SCIF)):
        blobs.write(entry.name.replace(SCIF, "5cff"), blobs.read(entry.name))
    finding = only(verify(blobs))
    assert finding.name == "cells/5c/5cff/manifest.json"
    assert finding.problem == f"it is of another folder, {SCIF}"


def test_corrupt_weights_are_found_with_the_cells_that_need_them(tmp_path):
    _, _, first, _ = filled(str(tmp_path))
    blobs = open_blobs(str(tmp_path))
    flip(blobs, f"weights/{first}")
    finding = only(verify(blobs))
    assert finding.name == f"weights/{first}"
    assert finding.problem == "its bytes do not have the SHA-256 of its name"
    assert finding.remedy == (
        f"delete it and the cells that name it ({cell(SCIF)}), and run the same command again"
    )


def test_missing_weights_and_missing_parents_are_found(tmp_path):
    store, base, first, second = filled(str(tmp_path))
    for number in range(4):
        put(store, f"{number}" * 64, "none", {"1": base})
    blobs = open_blobs(str(tmp_path))
    blobs.remove(f"weights/{base}")
    found = {finding.name: finding for finding in verify(blobs).findings}
    assert set(found) == {f"weights/{sha}" for sha in (base, first, second)}
    assert found[f"weights/{base}"].problem == "it is not there"
    assert " and 3 more) and run the same command again" in found[f"weights/{base}"].remedy
    assert found[f"weights/{first}"].problem == f"its parent weights/{base} is not there"


def test_weights_in_the_trash_can_be_had_back(tmp_path):
    _, base, _, second = filled(str(tmp_path))
    blobs = open_blobs(str(tmp_path))
    assert base != second
    blobs.move(f"weights/{second}", f"trash/5/{second}")
    finding = only(verify(blobs))
    assert finding.problem == "it is in the trash"
    assert finding.remedy == "run 'erase-ray store gc', which restores"


def test_a_file_of_weights_that_is_none_is_found(blobs):
    sha = hashlib.sha256(b"nothing").hexdigest()
    blobs.write(f"weights/{sha}", b"nothing")
    finding = only(verify(blobs))
    assert "is no file of weights" in finding.problem
    assert "(none now)" in finding.remedy


def test_a_damaged_snapshot_is_no_loss(blobs, uri):
    Store(uri).journal("9a" * 32, {}).save(Snapshot(1, {}, table()))
    (name,) = [e.name for e in blobs.entries(cell("9a" * 32))]
    flip(blobs, name)
    finding = only(verify(blobs))
    assert (finding.name, finding.remedy[:8]) == (name, "nothing:")


def test_a_sample_reads_less_and_is_drawn_by_its_seed(blobs):
    sizes = [verify(blobs, share=0.5, seed=seed).num_files for seed in range(8)]
    assert min(sizes) < max(sizes) <= 24
    assert sizes == [verify(blobs, share=0.5, seed=seed).num_files for seed in range(8)]


def test_an_empty_address_is_an_empty_store(tmp_path):
    assert verify(open_blobs(str(tmp_path))).num_files == 0
    with pytest.raises(StoreError, match="cannot read the storage"):
        open_blobs(str(tmp_path / "no"), read_only=True)
