"""``erase-ray import erase``: a folder of artefacts, told, and taken in."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from erase_ray.cli._prepared import named_pair, prepared
from erase_ray.cli._tell import answer
from erase_ray.data.prepared import Prepared
from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.store import Store
from erase_ray.imports.erase import Finding, Taken, kinds_of, scan, take_in
from erase_ray.imports.names import Artefact
from erase_ray.imports.rows import DECIMALS, LOGGED, frame_of
from erase_ray.imports.stored import imported_folder, put_imported
from erase_ray.report.data_text import table

HEAD = ("file", "what", "about", "outcome")
MOST_NAME = 60


def run(args: argparse.Namespace) -> int:
    """Tell what a folder has; take in what can be, where that is asked for."""
    if bool(args.storage) != bool(args.name):
        raise SettingsError("--storage and --name go together")
    if args.name:
        _check_free(args)
    if not args.storage and args.weights is None:
        findings = scan(args.folder)
        answer(args, _value(findings, {}), [*_table(findings), _summary(findings)])
        return 0
    taken = take_in(args.folder, _data_finder(args), args.weights)
    told = _stored(args, taken) if args.storage else {}
    faults = [f"{f.path}: {f.fault}" for f in taken.findings if f.fault]
    lines = [*_table(taken.findings), _summary(taken.findings), *faults]
    lines += [f"{name}: {value}" for name, value in told.items()]
    answer(args, _value(taken.findings, told), lines)
    return 1 if faults else 0


def _check_free(args: argparse.Namespace) -> None:
    folder = imported_folder(args.name)
    blobs = open_blobs(args.storage)
    if blobs.exists(f"{folder}/manifest.json"):
        raise StoreError(f"{blobs.address} has {folder} already; choose another --name")


def _data_finder(args: argparse.Namespace) -> Callable[[str], Prepared | None]:
    if not args.storage:
        return lambda dataset: None
    store, known = Store(args.storage), dict(named_pair(text, "--data") for text in args.data)

    def find(dataset: str) -> Prepared | None:
        text = known.get(dataset, dataset)
        if dataset not in known and not store.data_keys(text):
            return None
        return prepared(store, text)

    return find


def _stored(args: argparse.Namespace, taken: Taken) -> dict[str, Any]:
    frame, num_repeated = frame_of(taken.rows)
    facts = {
        "source": "erase",
        "folder": args.folder.resolve().name,
        "read": taken.read,
        "rounded": {"decimals": DECIMALS, "metrics": list(LOGGED)},
        "num_repeated": num_repeated,
        "findings": [_plain(finding) for finding in taken.findings],
    }
    folder = put_imported(open_blobs(args.storage), args.name, frame, taken.files, facts)
    told = {"place": folder, "rows": len(frame), "requests": len(taken.files)}
    return told | ({"rows that a later one repeats": num_repeated} if num_repeated else {})


def _table(findings: list[Finding]) -> list[str]:
    rows = [
        [_short(f.path), f.kind, _about(f.artefact), f.done or ("left out" if f.fault else "-")]
        for f in findings
    ]
    return table(rows, HEAD, left=HEAD) if rows else ["the folder is empty"]


def _summary(findings: list[Finding]) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds_of(findings).items())
    return f"{len(findings)} files: {counts or 'none'}"


def _about(artefact: Artefact | None) -> str:
    if artefact is None:
        return ""
    parts = [artefact.dataset, artefact.model, artefact.algorithm, artefact.category]
    if artefact.seed is not None:
        parts.append(f"seed {artefact.seed}")
    if artefact.fraction is not None:
        parts.append(f"fraction {artefact.fraction:g}")
    if artefact.checkpoint is not None:
        parts.append(f"mark {artefact.checkpoint + 1}")
    return ", ".join(filter(None, parts))


def _short(path: str) -> str:
    return path if len(path) <= MOST_NAME else f"...{path[-(MOST_NAME - 3) :]}"


def _value(findings: list[Finding], told: dict[str, Any]) -> dict[str, Any]:
    return {"files": [_plain(finding) for finding in findings], **told}


def _plain(finding: Finding) -> dict[str, Any]:
    about = asdict(finding.artefact) if finding.artefact else {}
    known = {name: value for name, value in about.items() if value not in ("", None)}
    return asdict(finding) | {"artefact": known}
