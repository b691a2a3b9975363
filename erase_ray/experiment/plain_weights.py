"""Weights of one model as a folder that any program can read: safetensors, JSON and Parquet.

``model.safetensors`` has the tensors under the names of the model's ``state_dict``; ``model.json``
says what they belong to; ``vocabulary.parquet``, where there is one, has the outer ids.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from erase_ray.data.names import Names
from erase_ray.errors import StoreError
from erase_ray.experiment._address import scrubbed
from erase_ray.experiment._placed import placed
from erase_ray.experiment._tensor_files import sha256
from erase_ray.experiment.cell import Part
from erase_ray.experiment.weights import separate
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, Model, Shape
from erase_ray.settings import Frozen, checked

compute: Any = pyarrow.compute  # its functions are made at run time

PLAIN_FORMAT = 1
TENSORS, FACTS, VOCABULARY = "model.safetensors", "model.json", "vocabulary.parquet"
KINDS = ("user", "item")
"""Kinds of outer ids in the vocabulary."""


class Sizes(Frozen):
    """Sizes of the tables of the model."""

    num_users: int
    num_items: int


class PlainFacts(Frozen):
    """What ``model.json`` holds."""

    format: int
    model: str
    task: str
    settings: dict[str, Any]
    shape: Sizes
    version: int
    """Of the model's code that the weights were made with."""
    source: dict[str, Any]
    """Where the weights come from, such as store, cell and mark, or a file and its SHA-256."""
    vocabulary: str | None = None
    """Name of the file with the outer ids; None if they are not known."""
    method: Part | None = None
    """A method that serves an ensemble of such models, for weights of the ensemble."""
    sha256: str | None = None
    """Of ``model.safetensors``."""


@dataclass(frozen=True, eq=False)
class PlainWeights:
    """Weights that were read from a folder.

    Args:
        folder: Where.
        facts: What the weights belong to.
        state: Tensors by name, on the CPU.
        vocabulary: Outer ids by kind (``user``, ``item``), position = index; None if not known.
    """

    folder: Path
    facts: PlainFacts
    state: dict[str, Tensor]
    vocabulary: dict[str, Names] | None

    def build(self) -> Model:
        """The model with these weights, on the CPU; models with edges still have to be given them.

        Raises:
            StoreError: Names, shapes or number types are not those of the model, or its code has
                another version.
            UnknownNameError: No model has this name.
            SettingsError: The settings are not the model's.
        """
        facts = self.facts
        version = MODELS.get(facts.model).version
        if version != facts.version:
            raise StoreError(
                f"{self.folder}: made by version {facts.version} of model '{facts.model}', this is "
                f"version {version}; use the release of erase_ray that wrote it"
            )
        model = _empty_model(facts)
        _check_state(f"{self.folder}", model, self.state)
        model.load_state_dict(self.state)
        return model


def write_plain(
    folder: Path,
    model_name: str,
    settings: dict[str, Any],
    shape: Shape,
    state: Mapping[str, Tensor],
    source: dict[str, Any],
    vocabulary: Mapping[str, Iterable[str]] | None = None,
    method: Part | None = None,
) -> Path:
    """Write weights as a folder, all of it or nothing; equal input gives equal bytes.

    Args:
        folder: Where; must not exist.
        model_name: Name of the model.
        settings: Of the model; defaults are filled in.
        shape: Sizes of its tables.
        state: Its ``state_dict``, on any device.
        source: Where the weights come from, plain values; secrets in addresses are taken out.
        vocabulary: Outer ids by kind (``user``, ``item``), position = index; users behind the last
            of them are made up and have none.
        method: See :class:`PlainFacts`.

    Returns:
        The folder.

    Raises:
        StoreError: The folder exists or cannot be written, or the tensors or ids do not fit the
            model.
    """
    folder = Path(folder)
    if folder.exists():
        raise StoreError(f"{folder} exists; name another folder, or delete it")
    facts = PlainFacts(
        format=PLAIN_FORMAT,
        model=model_name,
        task=MODELS.get(model_name).task,
        settings=Part.resolved(MODELS, model_name, settings).settings,
        shape=Sizes(num_users=shape.num_users, num_items=shape.num_items),
        version=MODELS.get(model_name).version,
        source=scrubbed(source),
        vocabulary=VOCABULARY if vocabulary else None,
        method=method,
    )
    plain = separate(dict(state))
    _check_state(f"{folder}", _empty_model(facts), plain)
    outer = {kind: Names.of(ids) for kind, ids in (vocabulary or {}).items()}
    _check_vocabulary(f"{folder}", facts, outer)
    with placed(folder) as scratch:
        _write_files(scratch, facts, plain, outer)
        _check_written(scratch, plain)
    return folder


def read_plain(folder: Path) -> PlainWeights:
    """The weights in a folder that :func:`write_plain` wrote.

    Raises:
        StoreError: A file is missing or damaged, or the format is another.
        SettingsError: ``model.json`` has other keys or values than it should.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    path = folder / TENSORS
    if not path.is_file():
        raise StoreError(f"{folder} has no {TENSORS}; it is no folder of plain weights")
    if facts.sha256 is not None and sha256(path) != facts.sha256:
        raise StoreError(f"{path} is damaged: {FACTS} names another SHA-256")
    try:
        state = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} is not a safetensors file: {error}") from error
    vocabulary = None
    if facts.vocabulary is not None:
        vocabulary = _read_vocabulary(folder / VOCABULARY)
        _check_vocabulary(f"{folder}", facts, vocabulary)
    return PlainWeights(folder, facts, dict(sorted(state.items())), vocabulary)


def read_facts(folder: Path) -> PlainFacts:
    """What the weights in a folder belong to, without reading them.

    Raises:
        StoreError: The folder has no such file, or one of another format.
        SettingsError: It has other keys or values than it should.
    """
    path = folder / FACTS
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise StoreError(
            f"{folder} is no folder of plain weights: cannot read {FACTS} ({error.strerror})"
        ) from error
    except ValueError as error:
        raise StoreError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != PLAIN_FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise StoreError(f"{path} has the format {found}, this version reads {PLAIN_FORMAT}")
    facts = checked(PlainFacts, content, f"{path}")
    if facts.vocabulary not in (None, VOCABULARY):
        raise StoreError(f"{path}: vocabulary must be '{VOCABULARY}', got '{facts.vocabulary}'")
    return facts


def _write_files(
    folder: Path, facts: PlainFacts, state: dict[str, Tensor], outer: dict[str, Names]
) -> None:
    safetensors.torch.save_file(state, str(folder / TENSORS), metadata={"format": "pt"})
    (folder / TENSORS).chmod(0o644)
    known = facts.model_copy(update={"sha256": sha256(folder / TENSORS)})
    text = json.dumps(known.model_dump(mode="json"), indent=2, sort_keys=True)
    if outer:
        pq.write_table(_table(outer), folder / VOCABULARY, compression="zstd", store_schema=False)
    (folder / FACTS).write_text(text + "\n")


def _check_written(folder: Path, state: Mapping[str, Tensor]) -> None:
    """Read what was written, and compare it bit by bit."""
    again = read_plain(folder).state
    if sorted(again) != sorted(state) or not all(_same(again[n], state[n]) for n in state):
        raise StoreError(f"{folder}: what was written is not what was to be written")


def _same(one: Tensor, other: Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    bits = (each.contiguous().reshape(-1).view(torch.uint8) for each in (one, other))
    return torch.equal(*bits)


def _empty_model(facts: PlainFacts) -> Model:
    shape = Shape(facts.shape.num_users, facts.shape.num_items)
    part = Part.resolved(MODELS, facts.model, facts.settings)

    def make() -> Model:
        return part.build(MODELS, shape)

    return facts.method.build(METHODS).build(make) if facts.method else make()


def _check_state(where: str, model: Model, state: Mapping[str, Tensor]) -> None:
    expected = model.state_dict()
    faults = [f"{name} is missing" for name in expected if name not in state]
    faults += [f"{name} is not the model's" for name in state if name not in expected]
    for name in sorted(expected.keys() & state.keys()):
        faults += _misfits(name, expected[name], state[name], model.learns)
    if faults:
        raise StoreError(f"{where}: not weights of '{model.name}': {'; '.join(faults)}")


def _misfits(name: str, expected: Tensor, found: Tensor, is_fixed: bool) -> list[str]:
    """Tables of baselines take the shape of what was learned, so only their rank is known."""
    faults = []
    if expected.shape != found.shape if is_fixed else expected.ndim != found.ndim:
        faults += [f"{name} has the shape {list(found.shape)}, expected {list(expected.shape)}"]
    if expected.dtype != found.dtype:
        faults += [f"{name} has the type {_type(found)}, expected {_type(expected)}"]
    return faults


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_vocabulary(where: str, facts: PlainFacts, outer: Mapping[str, Names]) -> None:
    sizes = {"user": facts.shape.num_users, "item": facts.shape.num_items}
    for kind, ids in outer.items():
        if kind not in sizes:
            raise StoreError(f"{where}: outer ids of '{kind}'; known kinds: {', '.join(KINDS)}")
        # people that a scenario makes up come last, and have no outer id
        if len(ids) > sizes[kind] or (kind == "item" and len(ids) < sizes[kind]):
            raise StoreError(
                f"{where}: {len(ids)} outer ids of {kind}s, the model has {sizes[kind]}"
            )


def _table(outer: Mapping[str, Names]) -> Any:
    kinds = [kind for kind in KINDS if kind in outer]
    columns = {
        "kind": pa.array([kind for kind in kinds for _ in range(len(outer[kind]))], pa.string()),
        "id": pa.concat_arrays([outer[kind].array for kind in kinds]),
        "index": pa.concat_arrays(
            [pa.array(torch.arange(len(outer[kind])).numpy()) for kind in kinds]
        ),
    }
    return pa.table(columns)


def _read_vocabulary(path: Path) -> dict[str, Names]:
    try:
        table: Any = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"cannot read {path}: {' '.join(str(error).split())[:200]}") from error
    missing = [name for name in ("kind", "id", "index") if name not in table.column_names]
    if missing:
        raise StoreError(f"{path} lacks the columns {missing}; it has {table.column_names}")
    found: dict[str, Names] = {}
    for kind in compute.unique(table["kind"]).to_pylist():
        part = table.filter(compute.equal(table["kind"], kind)).sort_by("index")
        if part["index"].to_pylist() != list(range(len(part))):
            raise StoreError(f"{path}: the indices of {kind}s are not 0 to {len(part) - 1}")
        found[kind] = Names(part["id"].cast(pa.large_string()))
    return found
