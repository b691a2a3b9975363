"""A folder of ERASE's artefacts: what is in it, and what can be taken in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from erase_ray.data.prepared import Prepared
from erase_ray.errors import EraseError
from erase_ray.experiment._tensor_files import sha256
from erase_ray.imports import csv_tables, logs, names, rows
from erase_ray.imports.checkpoints import read_checkpoint
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import OuterIds, recbole_ids
from erase_ray.imports.maps import map_names
from erase_ray.imports.names import CHECKPOINTS, EXPOSURE, FORGET, Artefact, parse
from erase_ray.imports.requests import read_requests
from erase_ray.imports.unpickle import read
from erase_ray.imports.weights import Choices, import_weights

LOG, TABLE, UNKNOWN = "log", "table of sensitive items", "unknown"
HIDDEN = "."


@dataclass(frozen=True)
class Finding:
    """One file of the folder.

    Args:
        path: Relative to the folder, with ``/``.
        kind: What it is.
        artefact: What its name says; None if it says nothing.
        done: What was made of it; empty if nothing yet.
        fault: Why nothing could be made of it; empty if something was, or nothing was tried.
        num_rows: Rows of results from it.
    """

    path: str
    kind: str
    artefact: Artefact | None = None
    done: str = ""
    fault: str = ""
    num_rows: int = 0


@dataclass(eq=False)
class Taken:
    """What was made of a folder.

    Args:
        findings: One a file, by path.
        rows: Rows of results.
        files: Files to store beside them, by name.
        read: Size and SHA-256 of each file that was read, by path.
    """

    findings: list[Finding] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    read: dict[str, dict[str, Any]] = field(default_factory=dict)


FindData = Callable[[str], Prepared | None]
"""The prepared dataset of a name of ours; None if there is none."""


def scan(folder: Path) -> list[Finding]:
    """All files of a folder and what they are, by path; none is opened but tables.

    Links that lead out of the folder are not followed.

    Raises:
        ForeignFileError: There is no such folder.
    """
    if not folder.is_dir():
        raise ForeignFileError(f"there is no folder {folder}")
    return [_finding(folder, path) for path in _files(folder)]


def take_in(folder: Path, find_data: FindData, weights: Path | None = None) -> Taken:
    """Read what can be read; a file that cannot is a finding with a fault, and stops nothing.

    Args:
        folder: With ERASE's names anywhere below it.
        find_data: Prepared datasets, to which forget sets are translated.
        weights: Folder for the weights of checkpoints, one folder each; None to leave them.

    Raises:
        ForeignFileError: There is no such folder.
    """
    taken = Taken()
    for finding in scan(folder):
        try:
            done = _take(folder, finding, find_data, weights, taken)
        except EraseError as error:
            done = replace(finding, fault=" ".join(str(error).split()))
        taken.findings.append(done)
    return taken


def _files(folder: Path) -> Iterator[Path]:
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        is_inside = path.resolve().is_relative_to(root)
        if path.is_file() and is_inside and not path.name.startswith(HIDDEN):
            yield path


def _finding(folder: Path, path: Path) -> Finding:
    name = path.relative_to(folder).as_posix()
    artefact = parse(path.name)
    if artefact:
        return Finding(name, artefact.kind, artefact)
    if path.suffix == ".log":
        return Finding(name, LOG)
    if path.suffix == ".csv" and csv_tables.is_sensitive_table(path):
        return Finding(name, TABLE)
    return Finding(name, UNKNOWN)


def _take(
    folder: Path, finding: Finding, find_data: FindData, weights: Path | None, taken: Taken
) -> Finding:
    path = folder / finding.path
    if finding.kind == LOG:
        return _with_rows(path, finding, taken, _log_rows(path))
    if finding.kind == TABLE:
        found = rows.rows_of_table(csv_tables.read_sensitive_table(path))
        return _with_rows(path, finding, taken, found)
    if finding.kind == FORGET:
        return _requests(path, finding, find_data, taken)
    if finding.kind in CHECKPOINTS and weights is not None:
        return _weights(folder, path, finding, weights, taken)
    if finding.kind == EXPOSURE:
        content = read(path)
        _note(path, finding, taken)
        size = len(content) if isinstance(content, dict | list) else 1
        return replace(finding, fault=f"{size} entries of a form that is not known: left out")
    return finding


def _with_rows(path: Path, finding: Finding, taken: Taken, found: list[dict[str, Any]]) -> Finding:
    _note(path, finding, taken)
    taken.rows += found
    return replace(finding, done=f"{len(found)} rows", num_rows=len(found))


def _log_rows(path: Path) -> list[dict[str, Any]]:
    results = logs.read_log(path)
    unnamed = [result.line for result in results if result.about is None]
    if unnamed:
        raise ForeignFileError(
            f"no checkpoint is named before the test result of line {unnamed[0]}, so it is not "
            "known what was tested"
        )
    return rows.rows_of_log(results)


def _requests(path: Path, finding: Finding, find_data: FindData, taken: Taken) -> Finding:
    artefact = finding.artefact
    assert artefact
    data = find_data(artefact.our_dataset)
    if data is None:
        raise ForeignFileError(f"the store has no prepared {artefact.our_dataset}")
    found = read_requests(path, artefact, data)
    _note(path, finding, taken)
    name = f"requests_{path.name}.parquet"
    taken.files[name] = found.parquet()
    text = f"{found.num_requests} requests, {found.table.num_rows} rows"
    more = f"; {found.unknown} not in the data" if found.unknown else ""
    return replace(finding, done=f"{text}{more}")


def _weights(folder: Path, path: Path, finding: Finding, out: Path, taken: Taken) -> Finding:
    artefact = finding.artefact
    assert artefact
    if artefact.our_model not in map_names():
        raise ForeignFileError(f"{artefact.model} is none of the nine models")
    checkpoint = read_checkpoint(path)
    ids = _ids(folder, artefact, checkpoint.config)
    imported = import_weights(checkpoint, artefact.our_model, Choices(ids=ids))
    said = {k: v for k, v in vars(artefact).items() if v not in ("", None)}
    source = {"file": path.name, "sha256": checkpoint.sha256, "epoch": checkpoint.epoch}
    imported.write(out / path.stem, source | {"erase": said, "notes": imported.notes})
    taken.read[finding.path] = {"sha256": checkpoint.sha256, "size": path.stat().st_size}
    known = "with outer ids" if ids else "order of the file"
    return replace(finding, done=f"weights, {known}")


def _ids(folder: Path, artefact: Artefact, config: dict[str, Any]) -> OuterIds | None:
    """Outer ids from the interactions in the folder, where they fit a model without fakes."""
    if artefact.scenario == "spam":
        return None  # fakes are numbered as well
    for path in _files(folder):
        if path.name == f"{artefact.dataset}.inter":
            return recbole_ids(path, config)
    return None


def _note(path: Path, finding: Finding, taken: Taken) -> None:
    taken.read[finding.path] = {"sha256": sha256(path), "size": path.stat().st_size}


def kinds_of(findings: list[Finding]) -> dict[str, int]:
    """How many files of each kind there are, in the order of the grammar."""
    order = [*dict.fromkeys(kind for kind, _ in names.FORMS), LOG, TABLE, UNKNOWN]
    counts = {kind: sum(f.kind == kind for f in findings) for kind in order}
    return {kind: count for kind, count in counts.items() if count}
