"""A submission, unpacked if need be, and whether its files are what its manifest says."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from erase_ray.errors import StoreError
from erase_ray.experiment._names import cell_folder
from erase_ray.experiment._tensor_files import sha256
from erase_ray.experiment.upkeep.inventory import Told, named_weights, silent
from erase_ray.experiment.upkeep.verify import Finding, Verdict
from erase_ray.submission.archive import unpack
from erase_ray.submission.manifest import MANIFEST, Manifest, parse_manifest
from erase_ray.submission.submitted import Submitted

AGAIN = "get the submission again, or ask who made it"


@dataclass(frozen=True)
class Opened:
    """A submission as a folder."""

    folder: Path
    manifest: Manifest


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a submission; an archive is unpacked for the time of the block.

    Raises:
        StoreError: It is none, or its archive is not to be trusted.
    """
    if path.is_dir():
        content = (path / MANIFEST).read_bytes()
        yield Opened(path, parse_manifest(content, f"{path}"))
        return
    with tempfile.TemporaryDirectory(prefix="erase_ray_submission_") as scratch:
        folder = Path(scratch)
        yield Opened(folder, unpack(path, folder))


def check_files(submission: Opened, tell: Told = silent) -> Verdict:
    """Compare all files with the manifest, and the manifests of the cells with their files.

    Checked are presence, size and SHA-256 of every file; that there are no others;
    that each cell has the files, settings and key that it should; and, where weights are packed,
    that those of every cell are there. Nothing is unpickled.
    """
    folder, files = submission.folder, submission.manifest.files
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    problems: dict[str, str] = {}
    for number, (name, said) in enumerate(sorted(files.items())):
        problems[name] = _problem(there.get(name), said.size, said.sha256)
        tell("files", number + 1, len(files))
    for name in there.keys() - files.keys() - {MANIFEST}:
        problems[name] = "the manifest does not name it"
    if not any(problems.values()):
        problems |= _wrong_cells(submission)
    found = [Finding(name, text, AGAIN) for name, text in problems.items() if text]
    return Verdict(sorted(found), len(files), sum(file.size for file in files.values()))


def _problem(path: Path | None, size: int, digest: str) -> str:
    if path is None:
        return "it is not there"
    if path.is_symlink() or not path.is_file():
        return "it is a link or no file"
    if path.stat().st_size != size:
        return f"it has {path.stat().st_size} bytes, the manifest says {size}"
    if sha256(path) != digest:
        return "its bytes do not have the SHA-256 of the manifest"
    return ""


def _wrong_cells(submission: Opened) -> dict[str, str]:
    """What does not fit together inside, by file, if all files are there."""
    store, manifest = Submitted(submission.folder), submission.manifest
    problems: dict[str, str] = {}
    packed = {cell.key for cell in manifest.cells}
    for key in sorted(packed ^ store.done_cells()):
        problems[cell_folder(key)] = "the manifest and the folders do not list the same cells"
    for cell in manifest.cells:
        if cell.key not in store.done_cells():
            continue
        try:
            known = store.manifest(cell.key)
            for name in known["files"]:
                store.cell_file(cell.key, name)
            if known.get("key") != cell.key or store.settings(cell.key) != cell.settings:
                problems[cell_folder(cell.key)] = "the manifest has other settings or another key"
            if manifest.has_weights:
                for sha in sorted(named_weights(known)):
                    store.get_weights(sha)
        except StoreError as error:
            problems[cell_folder(cell.key)] = " ".join(str(error).split())
    return problems
