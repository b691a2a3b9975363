"""The CSV of ERASE's scripts about sensitive items in lists."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from erase_ray.imports.errors import ForeignFileError

COLUMNS = (
    "dataset",
    "model",
    "seed",
    "sensitive_category",
    "checkpoint_idx",
    "eval_type",
    "unlearning_algorithm",
    "unlearning_fraction",
    "topk",
    "users_with_sensitive",
    "total_users",
    "pct_users_with_sensitive",
    "avg_sensitive_per_user",
)
"""What is read; other columns are passed over."""
NOBODY = ("", "none", "nan", "null")
ORIGINAL, RETRAIN = "original", "retrain"
ROUNDING = 0.51
"""Most that a percentage may be off, should it be rounded to whole numbers."""


@dataclass(frozen=True)
class SensitiveRow:
    """A line of the table.

    Args:
        dataset: ERASE's name.
        model: ERASE's name.
        method: Our name: ``original``, ``retrain`` or an algorithm.
        category: Of the sensitive items.
        fraction: Share of the rows to forget; NaN if not given.
        seed: Of the run.
        checkpoint: 0 to 3.
        k: Length of the lists.
        share: Of users with a sensitive item in their list.
        count: Sensitive items in a list, on average.
        num_users: How many users were probed.
    """

    dataset: str
    model: str
    method: str
    category: str
    fraction: float
    seed: int
    checkpoint: int
    k: int
    share: float
    count: float
    num_users: int


def is_sensitive_table(path: Path) -> bool:
    """Whether a file has the columns of that table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return set(COLUMNS) <= set(head)


def read_sensitive_table(path: Path) -> list[SensitiveRow]:
    """All lines of the table.

    The script writes unlearned models with the type ``original``; a line with an algorithm is that
    algorithm's.

    Raises:
        ForeignFileError: A column is missing, or a value is not what its column says.
    """
    return list(_rows(path))


def _rows(path: Path) -> Iterator[SensitiveRow]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ForeignFileError(f"{path.name} lacks the columns {', '.join(missing)}")
            for line in reader:
                yield _row(f"{path.name}, line {reader.line_num}", line)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ForeignFileError(f"cannot read {path.name} as CSV: {error}") from error


def _row(where: str, line: dict[str, str]) -> SensitiveRow:
    try:
        fraction = line["unlearning_fraction"].strip()
        num_users, num_with = int(line["total_users"]), int(line["users_with_sensitive"])
        percent = float(line["pct_users_with_sensitive"])
        row = SensitiveRow(
            dataset=line["dataset"].strip(),
            model=line["model"].strip(),
            method=_method(where, line),
            category=line["sensitive_category"].strip(),
            fraction=math.nan if fraction.lower() in NOBODY else float(fraction),
            seed=int(line["seed"]),
            checkpoint=int(float(line["checkpoint_idx"])),
            k=int(line["topk"]),
            share=num_with / num_users if num_users else math.nan,
            count=float(line["avg_sensitive_per_user"]),
            num_users=num_users,
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ForeignFileError(f"{where}: {error}") from error
    if not 0 <= row.checkpoint <= 3:
        raise ForeignFileError(f"{where}: checkpoint_idx {row.checkpoint} is not 0 to 3")
    if num_users < 0 or not 0 <= num_with <= num_users:
        raise ForeignFileError(f"{where}: {num_with} of {num_users} users")
    if num_users and not abs(100 * row.share - percent) < ROUNDING:
        raise ForeignFileError(f"{where}: {num_with} of {num_users} users are not {percent:g} %")
    return row


def _method(where: str, line: dict[str, str]) -> str:
    algorithm = line["unlearning_algorithm"].strip().lower()
    kind = line["eval_type"].strip().lower()
    if algorithm not in NOBODY:
        return algorithm
    if kind.startswith(RETRAIN):
        return RETRAIN
    if kind.startswith(ORIGINAL):
        return ORIGINAL
    raise ForeignFileError(f"{where}: eval_type '{kind[:40]}' without an algorithm is not known")
