"""Ta-Feng from small hand-made files."""

from pathlib import Path

import pytest

from erase_ray.datasets import DATASETS, Scratch
from erase_ray.errors import DataError

KIND = DATASETS.get("tafeng")
NAME = "ta_feng_all_months_merged.csv"
HEAD = (
    '"TRANSACTION_DT","CUSTOMER_ID","AGE_GROUP","PIN_CODE","PRODUCT_SUBCLASS","PRODUCT_ID",'
    '"AMOUNT","ASSET","SALES_PRICE"\n'
)
MIDNIGHT = 973_036_800
"""1 November 2000, UTC."""


def line(date: str, customer: str, subclass: str, product: str) -> str:
    return f'"{date}","{customer}","","","{subclass}","{product}","1","17","20"\n'


def lines(customer: str, *dates: str, product: str = "4710", subclass: str = "100205") -> str:
    return "".join(line(date, customer, subclass, product) for date in dates)


DATES = ("11/1/2000", "11/2/2000", "11/10/2000", "2/1/2001")
# by text 11/10 comes before 11/2, and February before November
PLAIN = lines("00017", *reversed(DATES)) + lines("17", *DATES, product="04710", subclass="000002")


def read(folder: Path, text: str = HEAD + PLAIN, **settings):
    path = folder / NAME
    path.write_text(text, encoding="utf-8")
    asked = KIND.Settings(**({"min_item_count": 1} | settings))
    return KIND(asked).read({NAME: path}, Scratch(folder / "scratch"))


def rows(raw) -> list[tuple]:
    columns = ["user", "step", "item", "time"]
    return sorted(raw.frame()[columns].itertuples(index=False, name=None))


def test_days_are_baskets_in_the_order_of_the_calendar(tmp_path):
    days = [0, 1, 9, 92]
    found = rows(read(tmp_path))
    assert found == [
        (user, step, item, MIDNIGHT + day * 86_400)
        for user, item in (("00017", "4710"), ("17", "04710"))
        for step, day in enumerate(days)
    ]


def test_a_product_is_in_a_basket_once(tmp_path):
    again = lines("17", "11/1/2000", "11/01/2000", product="04710")
    raw = read(tmp_path, HEAD + PLAIN + again)
    assert (raw.counts["read"], raw.counts["distinct"]) == (10, 8)
    assert len(rows(raw)) == 8


def test_filters_with_the_defaults(tmp_path):
    # 9 is in three baskets, but one of them is the last one of its customer
    text = HEAD + PLAIN + lines("17", DATES[0], DATES[3], product="9")
    text += lines("00017", DATES[0], product="9") + lines("3", *DATES[:3], product="04710")
    raw = read(tmp_path, text, min_item_count=3)
    assert list(raw.counts.items()) == [
        ("read", 14),
        ("distinct", 14),
        ("regular", 14),
        ("common", 11),
        ("left", 8),
    ]
    assert {row[0] for row in rows(raw)} == {"17", "00017"}


def test_most_baskets(tmp_path):
    days = [f"12/{day}/2000" for day in range(1, 6)]
    raw = read(tmp_path, HEAD + PLAIN + lines("5", *days), max_baskets=4)
    assert (raw.counts["distinct"], raw.counts["regular"]) == (13, 8)


def test_the_most_bought_subclasses_are_categories(tmp_path):
    text = HEAD + PLAIN + lines("17", DATES[0], product="77", subclass="100205")
    raw = read(tmp_path, text, top_subclasses=1)
    assert raw.categories == {"subclass_100205": {"4710", "77"}}
    assert raw.labels["04710"] == "sub-class 000002"
    assert list(read(tmp_path, text).categories) == ["subclass_100205", "subclass_000002"]


def test_ties_of_subclasses_go_to_the_lower_code(tmp_path):
    assert list(read(tmp_path, top_subclasses=1).categories) == ["subclass_000002"]


def test_a_product_of_two_subclasses_belongs_to_both(tmp_path):
    text = HEAD + PLAIN + lines("17", DATES[1], product="4710", subclass="5")
    raw = read(tmp_path, text, top_subclasses=0, categories={"a": ("5",), "b": ("100205",)})
    assert raw.categories == {"a": {"4710"}, "b": {"4710"}}
    assert raw.labels["4710"] == "sub-class 100205, 5"


def test_an_unknown_subclass(tmp_path):
    with pytest.raises(DataError, match=r"has no PRODUCT_SUBCLASS 8, 9 \('mine'\)"):
        read(tmp_path, categories={"mine": ("9", "100205", "8")})


@pytest.mark.parametrize("date", ["2000-11-01", "13/1/2000", "2/30/2001", "11/1/00", "11/1/2000 x"])
def test_no_date(tmp_path, date):
    text = HEAD + lines("17", "11/1/2000", date)
    message = rf"{NAME}, line 3: TRANSACTION_DT '{date}' is no date \(M/D/YYYY\)"
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("CUSTOMER_ID", "CUSTOMER"), "line 1: the header lacks CUSTOMER_ID"),
        (HEAD.replace(",", ";"), "line 1: .* separated by ';'"),
        (HEAD + PLAIN + HEAD, "line 10: the line is the header again"),
        (HEAD + line("11/1/2000", "", "1", "2"), "line 2: CUSTOMER_ID is empty"),
        (HEAD + PLAIN + '"11/1/2000","17"\n', "line 10: "),
        (HEAD, "has no rows"),
        ("", "is empty; expected a header line"),
        (HEAD + lines("17", *DATES[:2]), "the filters leave no basket"),
    ],
)
def test_what_is_wrong_with_the_file(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"{NAME}.*{message}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_bad_lines_can_be_left_out(tmp_path):
    bad = HEAD + lines("17", "x/y/z") + line("11/1/2000", "17", "1", "") + '"11/1/2000"\n'
    raw = read(tmp_path, HEAD + bad + PLAIN, skip_bad=True)
    assert raw.counts["bad"] == 4
    assert raw.counts["left"] == raw.counts["read"] == 8
