"""Where things lie in the storage."""

import re

from erase_ray.errors import StoreError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*")


def data_folder(dataset: str, key: str) -> str:
    """Folder of a prepared dataset."""
    return f"data/{_part(dataset)}/{_part(key)}"


def chain_folder(dataset: str, key: str, chain: str) -> str:
    """Folder of a chain of requests on a prepared dataset."""
    return f"{data_folder(dataset, key)}/chains/{_part(chain)}"


def cell_folder(key: str) -> str:
    """Folder of a cell."""
    return f"cells/{_part(key)[:2]}/{key}"


def run_path(run: str, name: str) -> str:
    """Path of a file of a run, which may lie in folders of its own."""
    inner = "/".join(_part(part) for part in name.split("/"))
    return f"runs/{_part(run)}/{inner}"


def _part(name: str) -> str:
    if not _PART.fullmatch(name):
        raise StoreError(
            f"'{name}' cannot name a file of the store; expected letters, digits and _ . = + -, "
            "not beginning with a dot"
        )
    return name
