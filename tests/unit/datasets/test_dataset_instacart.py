"""Instacart from small hand-made files."""

import gzip
from pathlib import Path

import pytest

from erase_ray.datasets import DATASETS, Scratch
from erase_ray.errors import DataError

KIND = DATASETS.get("instacart")

# user 1: five orders, the file lists them out of order; the last one is not public (test)
ORDERS = """order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,\
days_since_prior_order
13,1,prior,3,0,23,1.0
11,1,prior,1,2,08,
12,1,prior,2,3,07,30.0
14,1,prior,4,0,01,0.0
15,1,test,5,0,01,9.0
21,2,prior,1,0,01,
22,2,prior,2,0,01,7.0
23,2,prior,3,0,01,7.0
24,2,train,4,0,01,7.0
"""
PRIOR = """order_id,product_id,add_to_cart_order,reordered
14,500,1,0
11,0,1,0
11,7,2,0
12,0,1,1
13,7,1,1
13,7,2,1
21,0,1,0
22,0,1,0
23,500,1,0
99,500,1,0
"""
TRAIN = "order_id,product_id,add_to_cart_order,reordered\n24,0,1,1\n24,7,2,0\n"
PRODUCTS = """product_id,product_name,aisle_id,department_id
0,"Ale, ""Crème"" kind",27,5
7,Ham,96,20
500,Napkins,54,17
501,"Beer, never bought",27,5
"""
AISLES = "aisle_id,aisle\n27,beers coolers\n96,lunch meat\n54,paper goods\n"
FILES = {
    "orders.csv": ORDERS,
    "order_products__prior.csv": PRIOR,
    "order_products__train.csv": TRAIN,
    "products.csv": PRODUCTS,
    "aisles.csv": AISLES,
}


def written(folder: Path, **changed: str) -> dict[str, Path]:
    """Paths of the files, some of them (by stem) with another text."""
    for name, text in FILES.items():
        stem = name.removesuffix(".csv")
        (folder / name).write_text(changed.get(stem, text), encoding="utf-8")
    return {name: folder / name for name in FILES}


def read(folder: Path, files: dict[str, Path], **settings):
    loose = {"user_share": 1, "min_item_count": 1} | settings
    return KIND(KIND.Settings(**loose)).read(files, Scratch(folder / "scratch"))


def rows(raw) -> list[tuple]:
    columns = ["user", "step", "item", "time"]
    return list(raw.frame()[columns].itertuples(index=False, name=None))


DAY = 86_400


def test_orders_are_baskets_in_the_order_of_their_number(tmp_path):
    raw = read(tmp_path, written(tmp_path))
    assert rows(raw) == [
        ("1", 0, "0", 0),
        ("1", 0, "7", 0),
        ("1", 1, "0", 30 * DAY),
        ("1", 2, "7", 31 * DAY),
        ("1", 3, "500", 31 * DAY),
        ("2", 0, "0", 0),
        ("2", 1, "0", 7 * DAY),
        ("2", 2, "500", 14 * DAY),
        ("2", 3, "0", 21 * DAY),
        ("2", 3, "7", 21 * DAY),
    ]
    assert list(raw.counts.items()) == [
        ("read", 12),
        ("known", 11),
        ("share", 11),
        ("distinct", 10),
        ("regular", 10),
        ("common", 10),
        ("left", 10),
    ]


def test_the_last_basket_does_not_count_for_products(tmp_path):
    # 7 is in two baskets of user 1 before the last, and in the last of user 2
    raw = read(tmp_path, written(tmp_path), min_item_count=3, min_baskets_left=3)
    assert {row[2] for row in rows(raw)} == {"0"}
    assert raw.counts["common"] == 5
    assert [row[:2] for row in rows(raw)] == [("2", 0), ("2", 1), ("2", 2)]


def test_share_of_users_by_number(tmp_path):
    raw = read(tmp_path, written(tmp_path), user_share=0.5, min_baskets_left=3)
    # product 500 is in the last basket alone now
    assert [row[1:3] for row in rows(raw)] == [(0, "0"), (0, "7"), (1, "0"), (2, "7")]
    assert raw.counts["share"] == 6
    with pytest.raises(DataError, match=r"orders\.csv: the filters leave no basket"):
        read(tmp_path, written(tmp_path), user_share=0.4)


def test_too_many_baskets(tmp_path):
    files = written(tmp_path)
    assert read(tmp_path, files, max_baskets=0).counts["regular"] == 10
    assert read(tmp_path, files, max_baskets=4).counts["regular"] == 10
    with pytest.raises(DataError, match="the filters leave no basket"):
        read(tmp_path, files, max_baskets=3)


def test_categories_are_aisles_under_the_original_ids(tmp_path):
    raw = read(tmp_path, written(tmp_path))
    assert raw.categories == {"meat": {"7"}, "alcohol": {"0", "501"}, "baby": set()}
    assert raw.labels["0"] == 'Ale, "Crème" kind / beers coolers'
    assert raw.labels["501"] == "Beer, never bought / beers coolers"


def test_without_names_of_aisles(tmp_path):
    files = written(tmp_path)
    del files["aisles.csv"]
    assert read(tmp_path, files).labels["7"] == "Ham"


def test_gzipped(tmp_path):
    files = written(tmp_path)
    path = tmp_path / "order_products__prior.csv.gz"
    path.write_bytes(gzip.compress(PRIOR.encode()))
    files["order_products__prior.csv"] = path
    assert read(tmp_path, files).counts["read"] == 12


@pytest.mark.parametrize(
    ("stem", "text", "message"),
    [
        ("orders", ORDERS + "11,3,prior,1,0,01,\n", r"orders\.csv lists order 11 more than once"),
        ("products", PRODUCTS + "7,Tofu,1,1\n", r"products\.csv lists product 7 more than once"),
        ("orders", ORDERS.replace("user_id", "user"), r"orders\.csv, line 1: the header lacks"),
        ("orders", ORDERS + "x,3,prior,1,0,01,\n", r'orders\.csv, line 11: .*"x"'),
        ("orders", ORDERS.replace(",", ";"), r"orders\.csv, line 1: .* separated by ';'"),
        ("order_products__train", TRAIN + "24,,3,0\n", r"train\.csv, line 4: product_id is empty"),
        ("order_products__train", TRAIN + "24,3\n", r"train\.csv, line 4: "),
        ("order_products__prior", PRIOR.split("\n")[0] + "\n", r"prior\.csv has no rows"),
        ("products", PRODUCTS + "9,NaN,NaN,1\n", r"products\.csv, line 6: "),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, stem, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, written(tmp_path, **{stem: text}))
    assert "\n" not in str(caught.value)


def test_bad_lines_can_be_left_out(tmp_path):
    changed = {
        "orders": ORDERS + "x,3,prior,1,0,01,\n",
        "order_products__prior": PRIOR + PRIOR.split("\n")[0] + "\n14,\n14\n",
        "products": PRODUCTS + "9,Nothing,NaN,1\n",
    }
    raw = read(tmp_path, written(tmp_path, **changed), skip_bad=True)
    assert raw.counts["bad"] == 5
    assert raw.counts["left"] == 10


def test_a_truncated_gzip(tmp_path):
    files = written(tmp_path)
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress((ORDERS * 400).encode())[:300])
    with pytest.raises(DataError, match=r"orders\.csv\.gz"):
        read(tmp_path, files | {"orders.csv": path})
