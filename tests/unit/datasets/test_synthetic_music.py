"""Made-up raw files of 30Music and #nowplaying: the reader finds in them what is in them."""

import importlib

import numpy as np
import pytest

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.datasets import _synthetic as synthetic
from erase_ray.datasets._synthetic._truth import digest
from erase_ray.tasks import TASKS

COLUMNS = ["user", "sequence", "step", "item", "time"]
GONE = {"thirty_music": ("explicit", "900000002"), "nowplaying": ("explicit", "trap-gone")}
"""Category and id of a planted track that is only in rows that go."""


@pytest.fixture(
    scope="module", params=[(name, seed) for name in sorted(GONE) for seed in (0, 7)], ids=str
)
def made(request, tmp_path_factory):
    """Name, folder, truth, dataset and what it read."""
    name, seed = request.param
    out = tmp_path_factory.mktemp(name)
    synthetic.write(name, out, 1, seed)
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings())
    raw = dataset.read(synthetic.files(name, out), Scratch(out / "scratch"))
    return name, out, synthetic.truth(name, out, seed), dataset, raw


def test_rows_and_counts_are_those_of_the_truth(made):
    _, _, truth, _, raw = made
    assert list(raw.counts.items()) == list(truth["counts"].items())
    assert digest(raw.frame()[COLUMNS].itertuples(index=False, name=None)) == truth["rows_sha256"]
    assert (np.diff(list(raw.counts.values())) < 0).all()


def test_prepared_sizes_and_sensitive_items_are_those_of_the_truth(made):
    _, _, truth, dataset, raw = made
    prepared = prepare(dataset, raw, TASKS.get("session_based")().split)
    table, items = prepared.interactions, prepared.vocabulary.items
    assert (table.num_users, table.num_items, table.num_sequences) == (
        truth["num_users"],
        truth["num_items"],
        truth["num_sequences"],
    )
    found = {
        name: sorted(items.take(np.flatnonzero(mask)))
        for name, mask in prepared.catalogue.categories.items()
    }
    assert found == truth["sensitive"]


def test_all_that_was_planted_is_found_but_for_what_nobody_plays(made):
    name, _, truth, _, _ = made
    category, gone = GONE[name]
    for key, planted in truth["planted"].items():
        left = sorted(set(planted) - ({gone} if key == category else set()))
        assert left == truth["sensitive"][key]
        assert len(left) >= 8
    assert gone in truth["planted"][category]


def test_labels(made):
    name, out, _, _, raw = made
    module = importlib.import_module(f"erase_ray.datasets._synthetic.{name}")
    found = dict(zip(raw.items.outer, raw.items.label, strict=True))
    labels = module.labels(out)
    assert {item: found[item] for item in labels} == labels
    assert len(labels) > 100


def test_sensitive_plays_are_spread_over_many_people(made):
    _, _, truth, _, raw = made
    frame = raw.frame()
    for items in truth["sensitive"].values():
        mine = frame[frame["item"].isin(items)]
        assert mine["user"].nunique() >= 60
    only = frame.groupby("user")["item"].apply(
        lambda items: items.isin(truth["sensitive"]["explicit"]).all()
    )
    assert only.any()


def test_lengths_of_sessions_and_repeats(made):
    _, _, _, _, raw = made
    lengths = raw.frame().groupby("sequence").size()
    assert {1, 2, 3, 4, 60} <= set(lengths)
    assert raw.frame().duplicated(["sequence", "item"]).any()


@pytest.mark.parametrize("name", sorted(GONE))
def test_same_seed_same_bytes(name, tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        synthetic.write(name, tmp_path / folder, 0.5, seed)
    files = synthetic.files(name, tmp_path / "a")
    assert files
    for path in files.values():
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()
        assert path.read_bytes() != (tmp_path / "c" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize("name", sorted(GONE))
def test_rows_grow_with_the_scale(name, tmp_path):
    sizes = []
    for scale in (1, 4):
        out = tmp_path / str(scale)
        synthetic.write(name, out, scale, 3)
        sizes.append(synthetic.truth(name, out, 3)["counts"]["read"])
    assert 3.2 < sizes[1] / sizes[0] < 4.8


@pytest.mark.parametrize("name", sorted(GONE))
def test_files_of_several_pieces(name, tmp_path, monkeypatch):
    module = importlib.import_module(f"erase_ray.datasets._synthetic.{name}")
    monkeypatch.setattr(module, "CHUNK", 50)
    module.write(tmp_path, 0.5, 2)
    kind = DATASETS.get(name)
    files = synthetic.files(name, tmp_path)
    raw = kind(kind.Settings()).read(files, Scratch(tmp_path / "scratch"))
    truth = module.truth(tmp_path, 2)
    assert raw.counts == truth["counts"]
    assert digest(raw.frame()[COLUMNS].itertuples(index=False, name=None)) == truth["rows_sha256"]
