"""The Complete Journey from small made-up files of both releases."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from erase_ray.datasets import DATASETS
from erase_ray.datasets._archives import sha256_of
from erase_ray.datasets._fetch import raw_files
from erase_ray.errors import DataError
from tests.conftest import SCRATCH

# household, basket, day (from 1), clock, product; in time order basket 50 of day 2 comes before
# basket 40 of day 3 although its time of day is later, and 30 is before 31 by number alone
BOUGHT = [
    (1, 50, 2, "2359", 900),
    (1, 50, 2, "2359", 900),
    (1, 40, 3, "0007", 900),
    (1, 40, 3, "0007", 901),
    (1, 31, 4, "1200", 900),
    (1, 30, 4, "1200", 901),
    (2, 60, 1, "0000", 900),
    (2, 61, 2, "0000", 901),
    (2, 62, 3, "0000", 901),
]
PRODUCTS = [
    (900, "GROCERY", "BEERS/ALES", "ALE"),
    (901, "MEAT", "BEEF", " "),
    (902, "GROCERY", " ", " "),
    (903, "DRUG GM", "DIAPERS & DISPOSABLES", "BABY DIAPERS"),
]
MIDNIGHT = pd.Timestamp("2017-01-01")


def one_year(folder: Path) -> dict[str, Path]:
    times = [
        MIDNIGHT + pd.Timedelta(days=day - 1, hours=int(clock[:2]), minutes=int(clock[2:]))
        for _, _, day, clock, _ in BOUGHT
    ]
    columns = list(zip(*BOUGHT, strict=True))
    table = pd.DataFrame(
        {
            "household_id": columns[0],
            "basket_id": columns[1],
            "product_id": columns[4],
            "transaction_timestamp": times,
        }
    )
    table.to_parquet(folder / "transactions.parquet")
    names = ["product_id", "department", "product_category", "product_type"]
    products = pd.DataFrame(PRODUCTS, columns=names).replace(" ", None)
    products.to_parquet(folder / "products.parquet")
    return {name: folder / name for name in ("transactions.parquet", "products.parquet")}


def original(folder: Path) -> dict[str, Path]:
    head = (
        "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,STORE_ID,RETAIL_DISC,"
        "TRANS_TIME,WEEK_NO,COUPON_DISC,COUPON_MATCH_DISC"
    )
    lines = [f"{h},{b},{d},{p},1,2.5,7,-0.5,{c},1,0,0" for h, b, d, c, p in BOUGHT]
    (folder / "transaction_data.csv").write_text("\n".join([head, *lines]) + "\n")
    head = (
        "PRODUCT_ID,MANUFACTURER,DEPARTMENT,BRAND,COMMODITY_DESC,SUB_COMMODITY_DESC,"
        "CURR_SIZE_OF_PRODUCT"
    )
    lines = [f'{p},2,{d},National,"{c}",{s},"1,5 LB"' for p, d, c, s in PRODUCTS]
    (folder / "product.csv").write_text("\n".join([head, *lines]) + "\n")
    return {name: folder / name for name in ("transaction_data.csv", "product.csv")}


RELEASES = {"one_year": one_year, "original": original}


@pytest.fixture(params=RELEASES)
def release(request) -> str:
    return request.param


def read(release: str, files: dict[str, Path], min_baskets: int = 3, min_item_count: int = 1):
    kind = DATASETS.get("dunnhumby")
    settings = kind.Settings(
        release=release, min_baskets=min_baskets, min_item_count=min_item_count
    )
    return kind(settings).read(files, SCRATCH)


def rows(raw) -> list[tuple]:
    columns = ["user", "sequence", "step", "item"]
    return list(raw.frame()[columns].itertuples(index=False, name=None))


def test_baskets_are_in_the_order_of_day_and_time(release, tmp_path):
    found = rows(read(release, RELEASES[release](tmp_path)))
    assert found == [
        ("1", "1", 0, "900"),
        ("1", "1", 1, "900"),
        ("1", "1", 1, "901"),
        ("1", "1", 2, "901"),
        ("1", "1", 3, "900"),
        ("2", "2", 0, "900"),
        ("2", "2", 1, "901"),
        ("2", "2", 2, "901"),
    ]


def test_time_is_in_seconds_without_a_zone(release, tmp_path):
    time = read(release, RELEASES[release](tmp_path)).frame()["time"]
    assert time.dtype == "int64"
    # one minute before midnight of day 2, then seven minutes after it, then noon of day 4
    start = 1_483_228_800 - 86_400 if release == "one_year" else 0  # 2017-01-01 is day 1
    clock = [2 * 86_400 + 86_340, 3 * 86_400 + 420, 3 * 86_400 + 420, 4 * 86_400 + 43_200]
    assert (time[:4] - start).tolist() == clock


def test_households_with_few_baskets_go_first(release, tmp_path):
    # without household 2, product 901 is in 2 baskets only and goes; basket 30 vanishes
    found = rows(read(release, RELEASES[release](tmp_path), min_baskets=4, min_item_count=2))
    assert {row[0] for row in found} == {"1"}
    with pytest.raises(DataError, match="the filters leave no basket"):
        read(release, RELEASES[release](tmp_path), min_baskets=4, min_item_count=3)


def test_items_are_counted_once_a_basket(tmp_path):
    # 900 is in 4 distinct baskets (one of them lists it twice), 901 in 4
    assert len(rows(read("one_year", one_year(tmp_path), min_item_count=4))) == 8
    with pytest.raises(DataError, match=r"transactions.parquet: the filters leave no basket"):
        read("one_year", one_year(tmp_path), min_item_count=5)


def test_households_that_fall_under_the_limit_go_last(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "BOUGHT", [*BOUGHT, (2, 63, 4, "0000", 902)])
    # 902 is in one basket and goes, so household 2 is left with 3 baskets and goes as well;
    # its purchases still counted for 901, which stays with 2 baskets of household 1
    found = rows(read("one_year", one_year(tmp_path), min_baskets=4, min_item_count=3))
    assert found == [
        ("1", "1", 0, "900"),
        ("1", "1", 1, "900"),
        ("1", "1", 1, "901"),
        ("1", "1", 2, "901"),
        ("1", "1", 3, "900"),
    ]


def test_labels_and_categories(release, tmp_path):
    raw = read(release, RELEASES[release](tmp_path))
    assert raw.labels == {
        "900": "BEERS/ALES / ALE",
        "901": "BEEF",
        "902": "GROCERY",
        "903": "DIAPERS & DISPOSABLES / BABY DIAPERS",
    }
    assert raw.categories == {"alcohol": {"900"}, "meat": {"901"}, "baby": {"903"}}


@pytest.mark.parametrize(("asked", "given"), [("one_year", "original"), ("original", "one_year")])
def test_the_files_of_the_other_release(tmp_path, asked, given):
    with pytest.raises(DataError, match=rf"release '{asked}' of dunnhumby needs .* need release="):
        read(asked, RELEASES[given](tmp_path))


def test_a_basket_of_two_households(release, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "BOUGHT", [*BOUGHT, (2, 40, 3, "0007", 900)])
    with pytest.raises(DataError, match="basket 40 belongs to more than one household"):
        read(release, RELEASES[release](tmp_path))


@pytest.mark.parametrize("clock", ["2400", "1260", "-1"])
def test_no_time_of_day(tmp_path, monkeypatch, clock):
    monkeypatch.setitem(globals(), "BOUGHT", [*BOUGHT, (3, 99, 1, clock, 900)])
    text = r"transaction_data.csv, line 11: TRANS_TIME is no time of day \(HHMM\)"
    with pytest.raises(DataError, match=text):
        read("original", original(tmp_path))


def test_a_parquet_file_that_is_none(tmp_path):
    files = one_year(tmp_path)
    files["products.parquet"].write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match=r"products.parquet: "):
        read("one_year", files)


def test_a_parquet_file_with_gaps(tmp_path):
    files = one_year(tmp_path)
    table = pd.read_parquet(files["transactions.parquet"])
    table["transaction_timestamp"] = table["transaction_timestamp"].where(table.index > 0)
    table.to_parquet(files["transactions.parquet"])
    with pytest.raises(DataError, match=r"transactions.parquet has empty fields in one of \['hou"):
        read("one_year", files)


def test_a_parquet_file_without_a_column(tmp_path):
    files = one_year(tmp_path)
    pd.read_parquet(files["products.parquet"]).drop(columns="department").to_parquet(
        files["products.parquet"]
    )
    with pytest.raises(DataError, match=r"products.parquet: .*department"):
        read("one_year", files)


def test_rows_after_each_step(release, tmp_path):
    counts = read(release, RELEASES[release](tmp_path), min_baskets=4, min_item_count=2).counts
    assert counts == {"read": 9, "distinct": 8, "regular": 5, "common": 5, "left": 5}


def test_most_baskets(release, tmp_path):
    kind = DATASETS.get("dunnhumby")
    settings = kind.Settings(release=release, min_baskets=3, max_baskets=3, min_item_count=1)
    found = rows(kind(settings).read(RELEASES[release](tmp_path), SCRATCH))
    assert {row[0] for row in found} == {"2"}


def test_a_product_that_is_described_twice(release, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PRODUCTS", [*PRODUCTS, (901, "MEAT", "PORK", " ")])
    with pytest.raises(DataError, match=r"product\S* lists product 901 more than once"):
        read(release, RELEASES[release](tmp_path))


def test_bad_lines_of_the_original_files_can_be_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "BOUGHT", [*BOUGHT, (3, 99, 1, "2400", 900)])
    files = original(tmp_path)
    with files["transaction_data.csv"].open("a") as file:
        file.write("1,2,x,4\n5,,1,4,1,1,1,1,0000,1,1,1\n")
    kind = DATASETS.get("dunnhumby")
    settings = {"release": "original", "min_baskets": 3, "min_item_count": 1}
    with pytest.raises(DataError, match=r"transaction_data\.csv, line 12: "):
        kind(kind.Settings(**settings)).read(files, SCRATCH)
    raw = kind(kind.Settings(**settings, skip_bad=True)).read(files, SCRATCH)
    assert raw.counts["bad"] == 3
    assert raw.counts["left"] == 8


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("transaction_data.csv", "DAY", "DATE", "line 1: the header lacks DAY"),
        ("transaction_data.csv", ",", ";", "line 1: .* separated by ';'"),
        ("transaction_data.csv", "1,50,2,900", "1,50,two,900", 'line 2: .*"two"'),
        ("product.csv", "COMMODITY_DESC", "KIND", "line 1: the header lacks COMMODITY_DESC"),
        ("product.csv", "901,2,", "nan,2,", 'line 3: .*"nan"'),
    ],
)
def test_what_is_wrong_with_an_original_file(tmp_path, name, old, new, message):
    files = original(tmp_path)
    files[name].write_text(files[name].read_text().replace(old, new))
    with pytest.raises(DataError, match=rf"{name}, {message}") as caught:
        read("original", files)
    assert "\n" not in str(caught.value)


def test_both_releases_in_one_folder(tmp_path, monkeypatch):
    kind = DATASETS.get("dunnhumby")
    one_year(tmp_path)
    original(tmp_path)
    source = kind.sources[0]
    sums = {m: sha256_of(tmp_path / Path(m).name) for m in source.members}
    monkeypatch.setattr(kind, "sources", (replace(source, members=sums),))
    found = raw_files(kind, tmp_path / "cache", tmp_path)
    assert set(found) == {*original(tmp_path), *one_year(tmp_path)}
    for name in one_year(tmp_path):
        (tmp_path / name).unlink()
    assert set(raw_files(kind, tmp_path / "cache", tmp_path)) == set(original(tmp_path))
