"""Made-up raw files of the three datasets of baskets hold what readers must cope with."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from erase_ray.datasets import _synthetic
from erase_ray.datasets._synthetic import _basket_traps as traps
from erase_ray.datasets._synthetic._basket_truth import Rules, cleaned, facts
from erase_ray.datasets._synthetic._world import draw_baskets

NAMES = ("dunnhumby", "instacart", "tafeng")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Folder of the files of each dataset."""
    folders = {name: tmp_path_factory.mktemp(name) for name in NAMES}
    for name, folder in folders.items():
        _synthetic.write(name, folder, 1, 5)
    return folders


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", NAMES)
def test_each_step_of_cleaning_has_something_to_do(raw, name):
    truth = _synthetic.truth(name, raw[name], 5)
    assert (np.diff(list(truth["counts"].values())) < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_some_of_what_was_planted_is_cleaned_away(raw, name):
    truth = _synthetic.truth(name, raw[name], 5)
    for category, left in truth["sensitive"].items():
        assert left
        assert set(left) <= set(truth["planted"][category])
    assert sum(map(len, truth["planted"].values())) > sum(map(len, truth["sensitive"].values()))


def test_people_at_the_limits():
    draw = traps.with_traps(draw_baskets(1, 5, ("a", "b")), 5)
    baskets = Counter(draw.user[np.unique(draw.unit, return_index=True)[1]].tolist())
    assert set(traps.BASKETS) <= set(baskets.values())
    sizes = np.bincount(draw.unit)
    assert sizes.max() > 3 * np.sort(sizes)[-2]
    assert np.bincount(draw.item)[-2:].tolist() == [2, 2]
    sensitive = np.concatenate(list(draw.sensitive.values()))
    is_sensitive = np.isin(draw.item, sensitive)
    assert set(draw.user.tolist()) - set(draw.user[~is_sensitive].tolist())
    assert (np.diff(draw.time)[np.diff(draw.user) == 0] >= 0).all()


def test_days_and_times_of_day_disagree(raw):
    by_day, by_clock = defaultdict(set), defaultdict(set)
    for row in rows(raw["dunnhumby"] / "transaction_data.csv"):
        by_day[row["household_key"]].add(
            (int(row["DAY"]), int(row["TRANS_TIME"]), row["BASKET_ID"])
        )
    for household, baskets in by_day.items():
        by_clock[household] = sorted(baskets, key=lambda basket: basket[1:])
    differing = sum(sorted(by_day[h]) != by_clock[h] for h in by_day)
    assert differing > 0.8 * len(by_day)
    days = [Counter(day for day, _, _ in baskets) for baskets in by_day.values()]
    assert any(max(count.values()) > 1 for count in days)


def test_products_of_instacart_have_gaps_and_their_own_numbers(raw):
    ids = [int(row["product_id"]) for row in rows(raw["instacart"] / "products.csv")]
    assert min(ids) == 0
    assert max(ids) > 2 * len(ids)
    sets = Counter(row["eval_set"] for row in rows(raw["instacart"] / "orders.csv"))
    assert set(sets) == {"prior", "train", "test"}


def test_ids_of_tafeng_differ_by_zeros_alone(raw):
    lines = rows(raw["tafeng"] / "ta_feng_all_months_merged.csv")
    assert {"01104905", "1104905"} <= {row["CUSTOMER_ID"] for row in lines}
    assert {"0", "020113", "20113", "BAG-Ä7"} <= {row["PRODUCT_ID"] for row in lines}


@pytest.mark.parametrize("name", NAMES)
def test_size_grows_with_the_scale(raw, name, tmp_path):
    _synthetic.write(name, tmp_path, 3, 5)
    small, large = (sum(p.stat().st_size for p in f.glob("*.csv")) for f in (raw[name], tmp_path))
    assert 2 * small < large < 4 * small


def test_the_plain_cleaning_by_hand():
    lines = [
        ("u", 1, 10, "a"),
        ("u", 1, 10, "a"),
        ("u", 3, 30, "b"),
        ("u", 2, 20, "a"),
        ("v", 1, 10, "a"),
    ]
    found, counts = cleaned(lines, Rules(2, 0, 2, 2, counts_last=True))
    assert found == [("u", 0, "a", 10), ("u", 1, "a", 20)]
    assert counts == {"distinct": 4, "regular": 3, "common": 2, "left": 2}
    truth = facts(found, {"read": 5} | counts, {"x": {"a", "b"}}, {"x": {"b"}})
    assert (truth["sensitive"], truth["planted"]) == ({"x": ["a"]}, {"x": ["b"]})
    assert (truth["num_users"], truth["num_items"], truth["num_sequences"]) == (1, 1, 1)
