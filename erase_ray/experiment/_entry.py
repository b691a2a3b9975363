"""What a listing of a storage tells of a file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A file of the storage in a listing.

    Args:
        name: Relative to the storage address.
        size: Bytes.
        modified: Seconds since 1970 by the clock of the storage.
    """

    name: str
    size: int
    modified: float


def modified(info: dict[str, Any]) -> float:
    """Time of the last change in a listing of a back end, each of which has a name for it."""
    keys = ("LastModified", "mtime", "last_modified", "updated", "created")
    value = next((info[key] for key in keys if info.get(key) is not None), 0.0)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)
