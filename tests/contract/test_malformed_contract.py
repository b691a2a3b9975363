"""Every raw file of every format, damaged in every way: one line that names it, or counted."""

import functools
import gzip
import shutil
import tempfile
from pathlib import Path

import pytest

from erase_ray.datasets import DATASETS, Scratch, _synthetic
from erase_ray.errors import DataError

READ = {
    "amazon_books": ("Books.jsonl.gz", "meta_Books.jsonl.gz"),
    "amazon_grocery": (
        "Grocery_and_Gourmet_Food.jsonl.gz",
        "meta_Grocery_and_Gourmet_Food.jsonl.gz",
    ),
    "dunnhumby": ("transaction_data.csv", "product.csv"),
    "goodreads": (
        "goodreads_interactions.csv",
        "goodreads_books.json.gz",
        "book_id_map.csv",
        "user_id_map.csv",
    ),
    "instacart": (
        "orders.csv",
        "order_products__prior.csv",
        "order_products__train.csv",
        "products.csv",
    ),
    "movielens": ("rating.csv", "movie.csv", "tag.csv"),
    "nowplaying": ("sessions_2018.csv",),
    "tafeng": ("ta_feng_all_months_merged.csv",),
    "thirty_music": ("relations/sessions.idomaar", "entities/tracks.idomaar"),
}
"""The files that a reader cannot do without, and tags, which it uses if they are there."""
NUMBERS = {
    "rating.csv": "rating",
    "goodreads_interactions.csv": "rating",
    "transaction_data.csv": "DAY",
    "orders.csv": "order_number",
    "order_products__prior.csv": "product_id",
    "products.csv": "aisle_id",
}


@functools.cache
def originals(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="erase_ray_malformed_"))
    _synthetic.write(name, folder, 1, 0)
    return folder


@pytest.fixture(scope="module", autouse=True)
def tidy():
    yield
    for name in READ:
        shutil.rmtree(originals(name))
    originals.cache_clear()


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def with_line(content: bytes, line: bytes) -> bytes:
    lines = lines_of(content)
    return b"".join([*lines[: len(lines) // 2], line, *lines[len(lines) // 2 :]])


def without_column(file: str, content: bytes) -> bytes:
    """All but the column that the reader surely needs: the last of the ids."""
    rows = [line.rstrip(b"\r\n").split(b",") for line in lines_of(content)]
    needed = [b"movieId", b"book_id", b"real", b"order_id", b"product_id", b"PRODUCT_ID"]
    needed += [b"session_id", b"book_id_csv", b"user_id_csv"]
    header = [name.strip(b'"') for name in rows[0]]
    place = next(header.index(name) for name in needed if name in header)
    return b"".join(b",".join(row[:place] + row[place + 1 :]) + b"\n" for row in rows)


def with_nan(file: str, content: bytes) -> bytes:
    lines = lines_of(content)
    header = [name.strip(b'"').decode() for name in lines[0].rstrip().split(b",")]
    row = lines[len(lines) // 2].rstrip(b"\r\n").split(b",")
    row[header.index(NUMBERS[file])] = b"nan"
    return with_line(content, b",".join(row) + b"\n")


def kind_of(file: str) -> str:
    return next(kind for kind in ("json", "idomaar", "csv") if kind in file)


def cases(damages: dict) -> list[tuple[str, str, str]]:
    return [
        (name, file, damage)
        for name, files in READ.items()
        for file in files
        for damage, (kinds, _) in damages.items()
        if kind_of(file) in kinds and (damage != "NaN" or file in NUMBERS)
    ]


BAD_LINE = {
    "broken object": (("json", "idomaar"), lambda file, text: with_line(text, b'{"broken": \n')),
    "too few fields": (("csv",), lambda file, text: with_line(text, b"one field\n")),
    "no text": (("json", "csv", "idomaar"), lambda file, text: with_line(text, b"\xff\xfe\x01\n")),
    "NaN": (("csv",), with_nan),
    "header again": (("csv",), lambda file, text: with_line(text, lines_of(text)[0])),
}
BAD_FILE = {
    "column missing": (("csv",), without_column),
    "other separator": (("csv",), lambda file, text: text.replace(b",", b";")),
    "truncated": (("json", "csv", "idomaar"), None),
    "no rows": (
        ("json", "csv", "idomaar"),
        lambda file, text: lines_of(text)[0] if kind_of(file) == "csv" else b"",
    ),
    "empty": (("json", "csv", "idomaar"), lambda file, text: b""),
}


def damaged(name: str, file: str, damage, folder: Path) -> Path:
    """A copy of the raw files, one of them damaged."""
    raw = folder / "raw"
    shutil.copytree(originals(name), raw)
    path = raw / file
    is_zipped = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()) if is_zipped else path.read_bytes()
    path.unlink()
    if damage is None:
        whole = gzip.compress(text)
        path.with_name(file.rpartition("/")[2].removesuffix(".gz") + ".gz").write_bytes(
            whole[: len(whole) * 2 // 3]
        )
    else:
        changed = damage(path.name, text)
        assert changed != text
        path.write_bytes(gzip.compress(changed) if is_zipped else changed)
    return raw


def read(name: str, raw: Path, folder: Path, *, skip_bad: bool):
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings(**_synthetic.reading(name), skip_bad=skip_bad))
    return dataset.read(_synthetic.files(name, raw), Scratch(folder / "scratch"))


def stem(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".gz")


@pytest.mark.parametrize(("name", "file", "damage"), cases(BAD_LINE))
def test_a_bad_line_is_named_or_counted(name, file, damage, tmp_path):
    raw = damaged(name, file, BAD_LINE[damage][1], tmp_path)
    with pytest.raises(DataError, match=rf"{stem(file)}(\.gz)?, line \d+: ") as caught:
        read(name, raw, tmp_path, skip_bad=False)
    assert "\n" not in str(caught.value)
    whole = read(name, originals(name), tmp_path, skip_bad=False)
    left = read(name, raw, tmp_path, skip_bad=True)
    assert left.counts.pop("bad") == 1
    assert left.counts == whole.counts
    assert left.frame().equals(whole.frame())


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(("name", "file", "damage"), cases(BAD_FILE))
def test_a_bad_file_is_named(name, file, damage, skip_bad, tmp_path):
    raw = damaged(name, file, BAD_FILE[damage][1], tmp_path)
    with pytest.raises(DataError, match=stem(file)) as caught:
        read(name, raw, tmp_path, skip_bad=skip_bad)
    assert "\n" not in str(caught.value)


def test_the_files_are_those_of_the_facts():
    for name, files in READ.items():
        known = {stem(file.name) for file in DATASETS.get(name).about.files}
        assert {stem(file) for file in files} <= known
