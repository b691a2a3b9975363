"""RecBole's atomic files, and baskets of its ERASE fork, as settings of the dataset ``table``."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from erase_ray.datasets._own_columns import Reading, ending, header_of
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.names import BASKETS, parse

TASKS = ("cf", "session_based", "next_basket")
MODELS = {"cf": "bpr", "session_based": "gru4rec", "next_basket": "sets2sets"}
"""A model to begin with, by task."""
SEQUENCE = "token_seq"
SESSION, USER, ITEM = "session_id", "user_id", "item_id"
BASKET_COLUMNS = {"user": "user", "basket": "basket", "item": "item"}


@dataclass(frozen=True)
class Asked:
    """What a user says about the data besides where it is.

    Args:
        task: What it is for; empty to take sessions for session-based data if there are any.
        core: Fewest rows of a user and item; 0 to keep all.
        min_rating: Lowest rating that counts; 0 for all rows.
        categories: Files of sensitive items by name of the category.
    """

    task: str = ""
    core: int = 0
    min_rating: float = 0.0
    categories: dict[str, str] | None = None


def find_files(path: Path) -> list[Path]:
    """The ``.inter`` and ``_merged.json`` files that a path means: itself, or those of a folder.

    Raises:
        ForeignFileError: There are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ForeignFileError(f"there is no file or folder {path}")
    found = [
        file
        for file in sorted(path.iterdir())
        if (file.suffix == ".inter" and (parse(file.name) is None or _is_plain(file)))
        or _is_baskets(file)
    ]
    if not found:
        raise ForeignFileError(f"{path} has no .inter and no _merged.json file")
    return found


def table_settings(path: Path, asked: Asked, scratch: Path) -> dict[str, Any]:
    """Settings of the dataset ``table`` that read a file as it is.

    Args:
        path: An ``.inter`` file (``.item`` beside it is taken along) or a ``_merged.json``.
        asked: What the user says.
        scratch: Folder for baskets as a table, ``<name>.baskets.parquet``.

    Raises:
        ForeignFileError: The file is not of these forms, or not for the task.
    """
    rest: dict[str, Any] = {}
    if asked.categories:
        rest["categories"] = {name: {"file": file} for name, file in asked.categories.items()}
    if _is_baskets(path):
        if asked.task not in ("", "next_basket"):
            raise ForeignFileError(f"{path.name} has baskets; the task is next_basket")
        made = baskets_as_table(path, scratch / f"{path.stem}.baskets.parquet")
        named = {"task": "next_basket", "interactions": str(made), "columns": BASKET_COLUMNS}
        return named | {"min_baskets": 4} | rest
    if ending(path) != ".inter":
        raise ForeignFileError(f"{path.name} is no .inter and no _merged.json file")
    header = header_of(path, Reading("", '"', "s", "", False))
    _check_header(path, header)
    settings: dict[str, Any] = {"task": _task(path, header, asked), "interactions": str(path)}
    items = path.with_name(path.name.replace(".inter", ".item"))
    if items.is_file():
        settings["items"] = str(items)
    if asked.core:
        settings["core"] = asked.core
    if asked.min_rating:
        settings["min_rating"] = asked.min_rating
    return settings | rest


def grid_text(datasets: list[dict[str, Any]]) -> str:
    """A small grid over these datasets, as a file that jobs take.

    Raises:
        ForeignFileError: They are of several tasks.
    """
    tasks = {settings["task"] for settings in datasets}
    if len(tasks) != 1:
        raise ForeignFileError(f"data of several tasks in one grid: {', '.join(sorted(tasks))}")
    categories = list(datasets[0].get("categories", {}))
    scenario: Any = "account"
    if categories:
        scenario = {"sensitive": {"category": categories[0], "fraction": 0.01}}
    block = {
        "datasets": [{"table": settings} for settings in datasets],
        "models": MODELS[tasks.pop()],
    }
    grid = {
        "seeds": [2],
        "methods": ["original", "retrain"],
        "scenarios": scenario,
        "blocks": [block],
    }
    return yaml.safe_dump(grid, sort_keys=False, allow_unicode=True)


def baskets_as_table(path: Path, out: Path) -> Path:
    """Baskets of a ``_merged.json`` as a Parquet file: user, number of the basket, item.

    Empty baskets are left out; the others keep their order.

    Raises:
        ForeignFileError: The file is not an object of users with lists of lists of items.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ForeignFileError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise ForeignFileError(f"{path.name} is no object of users with their baskets")
    users: list[str] = []
    numbers: list[int] = []
    items: list[str] = []
    for user, baskets in content.items():
        for number, basket in enumerate(_checked(path, user, baskets)):
            users += [user] * len(basket)
            numbers += [number] * len(basket)
            items += map(str, basket)
    out.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "user": pa.array(users, pa.string()),
        "basket": pa.array(numbers, pa.int32()),
        "item": pa.array(items, pa.string()),
    }
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out


def _checked(path: Path, user: str, baskets: Any) -> list[list[Any]]:
    """The baskets of a user that hold anything."""
    is_good = isinstance(baskets, list) and all(
        isinstance(basket, list)
        and all(isinstance(i, int | str) and not isinstance(i, bool) for i in basket)
        for basket in baskets
    )
    if not is_good:
        raise ForeignFileError(
            f"{path.name}: user '{user[:40]}' has no list of baskets, each a list of item ids"
        )
    return [basket for basket in baskets if basket]


def _check_header(path: Path, header: dict[str, str]) -> None:
    kinds = set(header.values())
    unknown = sorted(kinds - {"token", "float", SEQUENCE, "float_seq"})
    if unknown:
        raise ForeignFileError(
            f"{path.name}, line 1: the type '{unknown[0]}' is none of RecBole's (token, float, "
            "token_seq, float_seq)"
        )
    sequences = [name for name, kind in header.items() if kind.endswith("_seq")]
    if sequences:
        raise ForeignFileError(
            f"{path.name} has the sequences '{sequences[0]}': it is made for training, one row an "
            "example, and holds each interaction many times. Give the file with one row an "
            "interaction"
        )


def _task(path: Path, header: dict[str, str], asked: Asked) -> str:
    task = asked.task or ("session_based" if SESSION in header else "cf")
    if task == "session_based" and SESSION not in header and USER not in header:
        raise ForeignFileError(f"{path.name} has neither {SESSION} nor {USER}")
    return task


def _is_baskets(path: Path) -> bool:
    artefact = parse(path.name)
    return artefact is not None and artefact.kind == BASKETS


def _is_plain(path: Path) -> bool:
    """Whether a name is that of interactions, not of a forget set or of fakes."""
    artefact = parse(path.name)
    return artefact is not None and artefact.file_name == f"{artefact.dataset}.inter"
