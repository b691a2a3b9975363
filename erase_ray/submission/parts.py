"""Files of a finished cell as they go into a submission, without secrets."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from erase_ray.errors import StoreError
from erase_ray.experiment._commit import MANIFEST, to_json, to_json_lines
from erase_ray.experiment._names import cell_folder
from erase_ray.experiment.store import Store
from erase_ray.experiment.tables import from_parquet, to_parquet
from erase_ray.experiment.upkeep.secrets import Found, clean, cleaned, told
from erase_ray.report.read import CellInfo
from erase_ray.submission.manifest import Stripped

SETTINGS, LOG, REQUESTS = "settings.yaml", "log.jsonl", "requests.parquet"


def cell_files(store: Store, cell: CellInfo, stripped: list[Stripped]) -> dict[str, bytes]:
    """All files of a cell by their name in the submission, its manifest last.

    Secrets are taken out of the log, the requests and the manifest, and noted in ``stripped``.

    Raises:
        StoreError: There are secrets in the settings or the numbers, which the key depends on, or
            a file is damaged.
    """
    folder, manifest = cell_folder(cell.key), json.loads(json.dumps(cell.manifest))
    files: dict[str, bytes] = {}
    for name in sorted(manifest["files"]):
        original = store.cell_file(cell.key, name)
        found: Found = Counter()
        data = _without_secrets(name, original, found)
        if found:
            _refuse_if_fixed(store, cell, name, found)
            stripped.append(_note(f"{folder}/{name}", found, original))
            manifest["files"][name] = {"sha256": _sha256(data), "size": len(data)}
        else:
            data = original
        files[f"{folder}/{name}"] = data
    found = Counter()
    facts = clean(manifest, found)
    if found:
        stripped.append(Stripped(file=f"{folder}/{MANIFEST}", found=found, original_sha256=""))
    return files | {f"{folder}/{MANIFEST}": to_json(facts)}


def plan_file(store: Store, run: str, stripped: list[Stripped]) -> tuple[str, bytes]:
    """Name and content of the plan of a run."""
    name = f"runs/{run}/plan.json"
    text = store.get_run(run, "plan.json") or '{"nodes": []}\n'
    found: Found = Counter()
    value = clean(json.loads(text), found)
    if not found:
        return name, text.encode()
    stripped.append(_note(name, found, text.encode()))
    return name, to_json(value)


def _without_secrets(name: str, data: bytes, found: Found) -> bytes:
    if name == LOG:
        return to_json_lines([clean(json.loads(line), found) for line in data.splitlines()])
    if name == SETTINGS:
        clean(yaml.safe_load(data), found)
    elif name.endswith(".parquet"):
        return _table_without_secrets(name, data, found)
    else:
        cleaned(data.decode(errors="replace"), found)
    return data


def _table_without_secrets(name: str, data: bytes, found: Found) -> bytes:
    table = pq.read_table(io.BytesIO(data), columns=_text_columns(data))
    masked: dict[str, list[Any]] = {}
    for column in table.column_names:
        known = {text: cleaned(text, found) for text in _distinct(table[column])}
        if any(text != clean for text, clean in known.items()):
            masked[column] = [known.get(text) for text in table[column].to_pylist()]
    if not masked or name != REQUESTS:
        return data
    return to_parquet(name.removesuffix(".parquet"), from_parquet(data).assign(**masked))


def _text_columns(data: bytes) -> list[str]:
    schema = pq.read_schema(io.BytesIO(data))
    return [field.name for field in schema if pa.types.is_string(field.type)]


def _distinct(column: Any) -> Iterator[str]:
    return (text for text in column.unique().to_pylist() if text)


def _refuse_if_fixed(store: Store, cell: CellInfo, name: str, found: Found) -> None:
    if name not in (LOG, REQUESTS):
        raise StoreError(
            f"{cell_folder(cell.key)}/{name} at {store.uri} ({cell.label}) holds what must not be "
            f"published: {told(found)}. It cannot be taken out, as the results depend on it: leave "
            "the cell out with --only, or run it again without (own files by relative paths)"
        )


def _note(name: str, found: Found, original: bytes) -> Stripped:
    return Stripped(file=name, found=dict(found), original_sha256=_sha256(original))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
