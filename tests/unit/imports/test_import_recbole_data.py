"""Atomic files and baskets of RecBole as data of ours."""

import json
from pathlib import Path

import pytest
import yaml

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.errors import EraseError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.grid import load_cells
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.recbole_data import Asked, find_files, grid_text, table_settings
from erase_ray.tasks import TASKS

HEAD = "user_id:token\tsession_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ROWS = "".join(
    f"u{n % 4}\ts{n % 4}_{n // 24}\t00{n % 5}\t{1 + n % 5}\t1.6e9\n".replace(
        "1.6e9", f"{1.6e9 + 7 * n:.2f}"
    )
    for n in range(48)
)
ITEM = "item_id:token\tyear:float\ttitle:token_seq\tgenre:token_seq\n" + "".join(
    f"00{n}\t19{n}0\tBeef and salt\tMeat Food\n" for n in range(5)
)


def write(tmp_path, **files: str):
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return tmp_path


def prepared(settings):
    """What the settings read, ready for training."""
    dataset = Part.resolved(DATASETS, "table", settings).build(DATASETS)
    raw = dataset.read({}, Scratch(Path(settings["interactions"]).parent))
    return prepare(dataset, raw, TASKS.get(dataset.task)().split)


def test_sessions_with_items_and_times(tmp_path):
    folder = write(tmp_path, toy__inter=HEAD + ROWS, toy__item=ITEM)
    (path,) = find_files(folder)
    settings = table_settings(path, Asked(), tmp_path)
    assert settings["task"] == "session_based"
    assert settings["items"].endswith("toy.item")
    data = prepared(settings)
    assert data.interactions.num_items == 5
    assert set(data.vocabulary.items) == {f"00{n}" for n in range(5)}
    assert data.catalogue.labels[0] == "Beef and salt"
    assert data.interactions.time.min() == 1_600_000_000


def test_users_with_filters_and_a_category(tmp_path):
    folder = write(tmp_path, toy__inter=HEAD + ROWS, list__txt="001\n003\n")
    asked = Asked("cf", 2, 3.0, {"meat": str(folder / "list.txt")})
    data = prepared(table_settings(folder / "toy.inter", asked, tmp_path))
    assert data.task == "cf"
    flags = data.catalogue.categories["meat"]
    is_meat = {item: bool(flag) for item, flag in zip(data.vocabulary.items, flags, strict=True)}
    assert {item for item, flag in is_meat.items() if flag} == {"003"}
    assert data.counts["rated"] < data.counts["read"]


def test_baskets_of_the_fork(tmp_path):
    content = {f"{user}": [[1, 2], [], [2], [3, 1], [2, 4]] for user in range(5)}
    folder = write(tmp_path, tafeng_merged__json=json.dumps(content))
    (path,) = find_files(folder)
    settings = table_settings(path, Asked(), tmp_path)
    data = prepared(settings)
    assert data.task == "next_basket"
    assert data.interactions.num_users == 5
    assert data.interactions.step.max() == 3  # the empty basket is none
    assert set(data.vocabulary.items) == {"1", "2", "3", "4"}


def test_a_grid_that_jobs_take(tmp_path):
    folder = write(tmp_path, toy__inter=HEAD + ROWS)
    path = tmp_path / "grid.yaml"
    path.write_text(grid_text([table_settings(folder / "toy.inter", Asked(), tmp_path)]))
    cells = load_cells(path)
    assert {cell.dataset.name for cell in cells} == {"table"}
    assert yaml.safe_load(path.read_text())["blocks"][0]["models"] == "gru4rec"
    with pytest.raises(ForeignFileError, match="data of several tasks in one grid"):
        grid_text([{"task": "cf"}, {"task": "next_basket"}])


def test_forget_sets_and_fakes_are_no_data(tmp_path):
    names = (
        "toy_unlearn_pairs_sensitive_category_meat_seed_2_unlearning_fraction_0.0001.inter",
        "toy_fraud_sessions_bandwagon_unpopular_ratio_0.01_seed_2.inter",
        "toy.inter",
        "ml-100k.inter",
    )
    for name in names:
        (tmp_path / name).write_text(HEAD)
    assert [path.name for path in find_files(tmp_path)] == ["ml-100k.inter", "toy.inter"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.inter", "user_id:token\titem_id_list:token_seq\titem_id:token\n", "has the sequences"),
        ("a.inter", "user_id:int\titem_id:token\n", "the type 'int' is none of RecBole's"),
        ("a.inter", "user_id\titem_id\n", "'user_id' has no type"),
        ("a.txt", "x", "is no .inter and no _merged.json file"),
        ("a_merged.json", "[1]", "no object of users with their baskets"),
        ("a_merged.json", '{"1": [1, 2]}', "user '1' has no list of baskets"),
        ("a_merged.json", '{"1": [[true]]}', "user '1' has no list of baskets"),
        ("a_merged.json", "{", "is not JSON"),
    ],
)
def test_files_of_other_forms(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(EraseError, match=message):
        table_settings(tmp_path / name, Asked(), tmp_path)


def test_nothing_to_find(tmp_path):
    with pytest.raises(ForeignFileError, match=r"has no \.inter and no _merged\.json file"):
        find_files(tmp_path)
    with pytest.raises(ForeignFileError, match="there is no file or folder"):
        find_files(tmp_path / "none")
