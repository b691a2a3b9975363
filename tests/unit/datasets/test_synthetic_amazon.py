"""Generated Amazon files: the readers find exactly what the plain oracle finds."""

import functools
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amazon_files import STEMS, members, read

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, RawData, _synthetic
from erase_ray.datasets._synthetic._truth import digest
from erase_ray.tasks import TASKS

NAMES = sorted(STEMS)
CASES = [(name, seed) for name in NAMES for seed in (0, 7)]


Made = Callable[[str, int], tuple[Path, dict[str, Any], RawData]]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """By name and seed: folder of the files, truth, and what the reader finds."""

    @functools.cache
    def make(name: str, seed: int) -> tuple[Path, dict[str, Any], RawData]:
        folder = tmp_path_factory.mktemp(name)
        _synthetic.write(name, folder, 1, seed)
        return folder, _synthetic.truth(name, folder, seed), read(name, folder)

    return make


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_reader_finds_the_truth(made: Made, name, seed):
    _, truth, raw = made(name, seed)
    frame = raw.frame()
    items = set(frame["item"])
    columns = frame[["user", "sequence", "step", "item", "time"]]
    assert raw.counts == truth["counts"]
    assert {c: sorted(found & items) for c, found in members(raw).items()} == truth["sensitive"]
    assert digest(columns.itertuples(index=False, name=None)) == truth["rows_sha256"]
    assert (frame["user"].nunique(), len(items), frame["sequence"].nunique()) == (
        truth["num_users"],
        truth["num_items"],
        truth["num_sequences"],
    )


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_planted_products_are_found_and_nothing_else(made: Made, name, seed):
    _, truth, raw = made(name, seed)
    items = set(raw.item.texts())
    planted = {c: sorted(set(ids) & items) for c, ids in truth["planted"].items()}
    assert planted == truth["sensitive"]
    # the 5-core takes one of the planted ones
    assert sum(map(len, truth["planted"].values())) > sum(map(len, truth["sensitive"].values()))


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(made: Made, name, tmp_path):
    folder, _, _ = made(name, 0)
    for kind in (STEMS[name], f"meta_{STEMS[name]}"):
        before = (folder / f"{kind}.jsonl.gz").read_bytes()
        _synthetic.write(name, tmp_path, 1, 0)
        assert (tmp_path / f"{kind}.jsonl.gz").read_bytes() == before
        other, _, _ = made(name, 7)
        assert (other / f"{kind}.jsonl.gz").read_bytes() != before


@pytest.mark.parametrize("name", NAMES)
def test_rows_grow_with_the_scale(made: Made, name, tmp_path):
    _, truth, _ = made(name, 0)
    _synthetic.write(name, tmp_path, 3, 0)
    read_rows = len(lines(tmp_path / f"{STEMS[name]}.jsonl.gz"))
    assert 5_000 < truth["counts"]["read"] < 10_000
    assert 2.2 < read_rows / truth["counts"]["read"] < 3.8


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_sizes_and_requesters(made: Made, name, seed):
    _, truth, raw = made(name, seed)
    frame = raw.frame()
    assert 200 <= truth["num_users"] <= 400
    assert 60 <= truth["num_items"] <= 200
    for sensitive in truth["sensitive"].values():
        assert frame["user"][frame["item"].isin(sensitive)].nunique() >= 12


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_each_step_of_cleaning_has_something_to_do(made: Made, name, seed):
    folder, truth, raw = made(name, seed)
    counts = list(truth["counts"].values())
    assert counts == sorted(set(counts), reverse=True)
    users = Counter(raw.user.texts())
    assert not {"has 1", "has 2", "has 3", "has 4", "round one", "round three"} & set(users)
    assert users["repeats"] == 8
    assert users["undescribed"] == 6
    # the late product has five reviews until a person of four goes
    reviews = lines(folder / f"{STEMS[name]}.jsonl.gz")
    late = next(row["asin"] for row in reviews[::-1] if row.get("user_id") == "round one")
    late_rows = Counter(row["user_id"] for row in reviews if row.get("asin") == late)
    if late_rows["round three"]:
        assert sum(late_rows.values()) == 5
        assert late not in set(raw.item.texts())


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_it_can_be_prepared(made: Made, name, seed):
    _, truth, raw = made(name, seed)
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings())
    data = prepare(dataset, raw, TASKS.get(dataset.task)().split)
    assert len(data.interactions) == list(truth["counts"].values())[-1]
    for category, sensitive in truth["sensitive"].items():
        mask = data.catalogue.categories[category]
        found = {data.vocabulary.items[int(place)] for place in np.flatnonzero(mask)}
        assert found == set(sensitive)


def test_sessions_of_the_border_users(made: Made):
    _, _, raw = made("amazon_books", 0)
    frame = raw.frame()
    sessions = frame.groupby("user")["sequence"].nunique()
    lengths = frame[frame["user"] == "sessions"].groupby("sequence").size().tolist()
    assert sorted(lengths) == [1, 2, 3, 4, 5, 10]
    assert sessions[["hour", "hour and a bit", "hour and a second"]].tolist() == [1, 6, 6]
