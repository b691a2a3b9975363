"""``erase-ray import weights``: a checkpoint to a folder of plain weights."""

import argparse
from collections.abc import Sequence
from typing import Any

from erase_ray.cli._options import DEFAULT_STORAGE
from erase_ray.cli._prepared import named_pair, prepared
from erase_ray.cli._tell import answer
from erase_ray.data.names import Names
from erase_ray.errors import SettingsError
from erase_ray.experiment.store import Store
from erase_ray.imports.checkpoints import Checkpoint, read_checkpoint
from erase_ray.imports.ids import OuterIds, listed_ids, recbole_ids
from erase_ray.imports.weights import Choices, Imported, import_weights
from erase_ray.report.data_text import table
from erase_ray.settings import parse_assignment

HEAD = ("theirs", "shape", "ours", "shape", "done")


def run(args: argparse.Namespace) -> int:
    """Read, translate, write and report."""
    if args.out.exists():
        raise SettingsError(f"{args.out} exists; name another folder, or delete it")
    checkpoint = read_checkpoint(args.file)
    imported = import_weights(checkpoint, args.model, _choices(args, checkpoint))
    source = {
        "file": checkpoint.path.name,
        "sha256": checkpoint.sha256,
        "epoch": checkpoint.epoch,
        "notes": imported.notes,
    }
    imported.write(args.out, source)
    answer(args, _value(args, imported), _lines(args, imported))
    return 0


def _choices(args: argparse.Namespace, checkpoint: Checkpoint) -> Choices:
    onto = None
    if args.onto:
        store = Store(args.storage or DEFAULT_STORAGE, read_only=True)
        onto = prepared(store, args.onto).vocabulary
    return Choices(
        ids=_ids(args, checkpoint),
        onto=onto,
        settings=dict(parse_assignment(text) for text in args.set),
        names=dict(named_pair(text, "--name") for text in args.name),
    )


def _ids(args: argparse.Namespace, checkpoint: Checkpoint) -> OuterIds | None:
    if args.inter and (args.items or args.users):
        raise SettingsError("--inter says all ids; leave --items and --users out")
    if args.inter:
        return recbole_ids(args.inter, checkpoint.config, args.core)
    if args.users and not args.items:
        raise SettingsError("--users needs --items as well")
    if args.items:
        users = listed_ids(args.users) if args.users else Names.of(())
        return OuterIds(users, listed_ids(args.items))
    return None


def _lines(args: argparse.Namespace, imported: Imported) -> list[str]:
    rows = [
        [moved.theirs, _shape(moved.their_shape), moved.ours, _shape(moved.our_shape), moved.done]
        for moved in imported.report
    ]
    settings = ", ".join(f"{name} {value}" for name, value in imported.settings.items())
    shape = imported.shape
    return [
        *table(rows, HEAD, left=("theirs", "ours", "done")),
        "",
        f"{imported.model}: {settings}",
        f"{shape.num_users} users, {shape.num_items} items; all tensors of the file are used",
        *(f"note: {note}" for note in imported.notes),
        f"weights in {args.out}",
    ]


def _value(args: argparse.Namespace, imported: Imported) -> dict[str, Any]:
    return {
        "model": imported.model,
        "settings": imported.settings,
        "tensors": [vars(moved) for moved in imported.report],
        "notes": imported.notes,
        "out": str(args.out),
    }


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "-"
