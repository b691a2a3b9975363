"""Numbers of users and items as RecBole gives them."""

import pytest

from erase_ray.errors import DataError
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import Interval, listed_ids, recbole_ids

HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
CORE = {"user_inter_num_interval": "[2,inf)", "item_inter_num_interval": "[2,inf)"}


def inter(tmp_path, *pairs: str, head: str = HEAD):
    path = tmp_path / "d.inter"
    lines = [f"{pair[0]}\t{pair[1:]}\t3.5\t{1.5e9 - n:.1f}\n" for n, pair in enumerate(pairs)]
    path.write_text(head + "".join(lines))
    return path


def test_order_of_first_appearance_in_the_file(tmp_path):
    ids = recbole_ids(inter(tmp_path, "b07", "a7", "b7", "c07"), {})
    assert list(ids.users) == ["b", "a", "c"]
    assert list(ids.items) == ["07", "7"]


def test_filters_run_until_nothing_changes(tmp_path):
    """c has one row, so z falls to one, so d falls to one; what is left is numbered anew."""
    path = inter(tmp_path, "cz", "dz", "dx", "ay", "ax", "bx", "by")
    assert list(recbole_ids(path, CORE).users) == ["a", "b"]
    assert list(recbole_ids(path, CORE).items) == ["y", "x"]
    assert list(recbole_ids(path, {}, core=2).users) == ["a", "b"]
    assert list(recbole_ids(path, CORE, core=0).users) == ["c", "d", "a", "b"]


def test_other_names_of_fields(tmp_path):
    head = "session_id:token\tsku:token\trating:float\ttimestamp:float\n"
    config = {"USER_ID_FIELD": "session_id", "ITEM_ID_FIELD": "sku"}
    assert list(recbole_ids(inter(tmp_path, "ax", "by", head=head), config).items) == ["x", "y"]


def test_items_of_the_item_file_come_behind(tmp_path):
    path = inter(tmp_path, "ay", "ax")
    path.with_suffix(".item").write_text("item_id:token\ttitle:token_seq\nq\tQ\nx\tX\np\tP P\n")
    config = {"load_col": {"inter": ["user_id"], "item": ["item_id"]}}
    assert list(recbole_ids(path, config).items) == ["y", "x", "q", "p"]
    assert list(recbole_ids(path, {}).items) == ["y", "x"]
    assert list(
        recbole_ids(path, config | CORE | {"item_inter_num_interval": "[1,inf)"}).items
    ) == [
        "y",
        "x",
    ]


@pytest.mark.parametrize(
    ("text", "least", "most"), [("[5,inf)", 5, None), ("(5, 9]", 6, 9), ("[0,7)", 0, 6)]
)
def test_intervals(text, least, most):
    found = Interval.of(text)
    assert found.least == least
    assert most is None or found.most == most
    with pytest.raises(ForeignFileError, match="is no interval such as"):
        Interval.of("5+")


def test_what_is_not_repeated_is_said(tmp_path):
    path = inter(tmp_path, "ax")
    with pytest.raises(ForeignFileError, match=r"has val_interval: .*--items FILE"):
        recbole_ids(path, {"val_interval": {"rating": "[3,inf)"}})
    baskets = tmp_path / "tafeng_merged.json"
    baskets.write_text("{}")
    with pytest.raises(
        ForeignFileError, match="How the fork numbers items of baskets is not known"
    ):
        recbole_ids(baskets, {})
    with pytest.raises(DataError, match="has no column 'sku'"):
        recbole_ids(path, {"ITEM_ID_FIELD": "sku"})


def test_listed_ids(tmp_path):
    path = tmp_path / "items.txt"
    path.write_bytes("007\r\n7\nä b\n".encode())
    assert list(listed_ids(path)) == ["007", "7", "ä b"]
    path.write_text("a\na\n")
    with pytest.raises(ForeignFileError, match="has an id twice"):
        listed_ids(path)
    with pytest.raises(ForeignFileError, match="cannot read"):
        listed_ids(tmp_path / "none.txt")
