"""What a submission says of itself, in ``manifest.json``."""

import json
from pathlib import Path
from typing import Any, Literal

from erase_ray.errors import StoreError
from erase_ray.settings import Frozen, checked

SUBMISSION_FORMAT = 1
KIND: Literal["erase_ray.submission"] = "erase_ray.submission"
MANIFEST = "manifest.json"


class About(Frozen):
    """Who tells the world what; all of it as the submitter gave it."""

    title: str = ""
    who: str = ""
    contact: str = ""
    licence: str = ""
    when: str = ""
    """A date; that of the last cell if none was given."""


class File(Frozen):
    """A file of the submission."""

    sha256: str
    size: int
    """In bytes."""


class PackedCell(Frozen):
    """A finished cell whose files are in the submission."""

    key: str
    label: str
    settings: dict[str, Any]
    """All of them, resolved."""
    device: str
    """Kind of device that it ran on."""
    versions: dict[str, str]
    """Of Python and of the packages that it ran with."""
    created: str


class AbsentCell(Frozen):
    """A cell of a plan whose files are not in the submission."""

    key: str
    label: str
    state: Literal["missing", "failed", "left out"]
    """``left out`` cells are finished, and the submitter chose to leave them out."""
    error: str = ""
    """Of a cell that failed, or that waits for one that did."""


class PackedRun(Frozen):
    """A run, as it was planned."""

    plan: str
    """Name of the file with its plan."""
    num_cells: int
    """In the plan, helpers and base models among them."""
    absent: list[AbsentCell]


class Stripped(Frozen):
    """A file out of which secrets were taken."""

    file: str
    found: dict[str, int]
    """How many, by kind."""
    original_sha256: str
    """Of the file before; empty where the store itself has no checksum of it."""


class Manifest(Frozen):
    """All that ``manifest.json`` holds."""

    format: int
    kind: Literal["erase_ray.submission"]
    about: About
    environment: dict[str, Any]
    """Python, platform, packages and devices of the machine that packed."""
    runs: dict[str, PackedRun]
    cells: list[PackedCell]
    left_out: list[AbsentCell]
    """Finished cells that are in no plan and were not chosen."""
    has_weights: bool
    stripped: list[Stripped]
    files: dict[str, File]
    """By name; all but the manifest."""

    def absent(self) -> list[AbsentCell]:
        """All cells that are known of and not in the submission, each once, by label."""
        found = {cell.key: cell for run in self.runs.values() for cell in run.absent}
        found |= {cell.key: cell for cell in self.left_out}
        return sorted(found.values(), key=lambda cell: (cell.label, cell.key))

    def to_bytes(self) -> bytes:
        """Readable JSON in a fixed order."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest of a submission at ``where``.

    Raises:
        StoreError: It is not JSON, or of another kind or format.
        SettingsError: Keys or values are not those of the format.
    """
    try:
        content = json.loads(data)
        kind, number = content["kind"], content["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{where}: {MANIFEST} is not that of a submission") from error
    if kind != KIND:
        raise StoreError(f"{where}: {MANIFEST} is of kind '{kind}', expected '{KIND}'")
    if number != SUBMISSION_FORMAT:
        raise StoreError(
            f"{where}: submission of format {number}, this version reads {SUBMISSION_FORMAT}"
        )
    return checked(Manifest, content, f"{where}: {MANIFEST}")


def is_submission(address: str) -> bool:
    """Whether ``address`` is the archive or the folder of a submission, by its looks."""
    if "://" in address:
        return False
    path = Path(address)
    return path.is_file() or (path / MANIFEST).is_file()
