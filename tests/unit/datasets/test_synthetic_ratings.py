"""Made-up raw files of ratings: what the reader makes of them is what is in them."""

import hashlib

import numpy as np
import pytest

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch, _synthetic
from erase_ray.tasks import TASKS

COLUMNS = ["user", "sequence", "step", "item", "time"]
NAMES = ("goodreads", "movielens")


@pytest.fixture(scope="module", params=[(name, seed) for name in NAMES for seed in (0, 7)], ids=str)
def made(request, tmp_path_factory):
    """Raw files, their truth, and what the reader made of them."""
    name, seed = request.param
    out = tmp_path_factory.mktemp(name)
    _synthetic.write(name, out, 1, seed)
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings())
    raw = dataset.read(_synthetic.files(name, out), Scratch(out / "s"))
    return _synthetic.truth(name, out, seed), dataset, raw


def test_rows_are_those_of_the_truth(made):
    truth, _, raw = made
    rows = raw.frame()[COLUMNS].itertuples(index=False, name=None)
    lines = sorted("\t".join(map(str, row)) + "\n" for row in rows)
    assert raw.counts == truth["counts"]
    assert list(raw.counts) == list(truth["counts"])
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == truth["rows_sha256"]


def test_each_step_of_cleaning_has_something_to_do(made):
    truth, _, _ = made
    counts = list(truth["counts"].values())
    assert (np.diff(counts) < 0).all()


def test_prepared_sizes_and_sensitive_items_are_those_of_the_truth(made):
    truth, dataset, raw = made
    prepared = prepare(dataset, raw, TASKS.get("cf")().split)
    table, items = prepared.interactions, prepared.vocabulary.items
    sizes = [table.num_users, table.num_items, table.num_sequences]
    assert sizes == [truth["num_users"], truth["num_items"], truth["num_sequences"]]
    found = {
        name: sorted(items.take(np.flatnonzero(mask)))
        for name, mask in prepared.catalogue.categories.items()
    }
    assert found == truth["sensitive"]


def test_what_was_planted_is_found_and_some_of_it_is_cleaned_away(made):
    truth, _, raw = made
    left = set(raw.frame()["item"])
    for name, planted in truth["planted"].items():
        assert set(truth["sensitive"][name]) >= set(planted) & left
        assert len(set(planted) & left) >= 3
    first = next(iter(truth["planted"]))
    assert len(set(truth["planted"][first]) - left) == 2


def test_enough_people_have_something_to_ask_for(made):
    truth, _, raw = made
    frame = raw.frame()
    for items in truth["sensitive"].values():
        assert frame.loc[frame["item"].isin(items), "user"].nunique() >= 60


def test_some_have_nothing_but_sensitive_items(made):
    truth, _, raw = made
    first = next(iter(truth["sensitive"].values()))
    is_sensitive = raw.frame().set_index("user")["item"].isin(first)
    assert is_sensitive.groupby(level=0).all().any()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name, tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        _synthetic.write(name, tmp_path / folder, 0.5, seed)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    others = [path.read_bytes() for path in sorted((tmp_path / "c").iterdir())]
    assert others != [path.read_bytes() for path in sorted((tmp_path / "a").iterdir())]
