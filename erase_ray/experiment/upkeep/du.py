"""What takes the room in a store."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from erase_ray.errors import StoreError
from erase_ray.experiment.blobs import Blobs, Entry
from erase_ray.experiment.upkeep.inventory import (
    IMPORTED,
    Inventory,
    Told,
    manifests,
    named_weights,
    silent,
)

FULL, DIFFERENCES = "weights, full copies", "weights, differences"
ORPHANS = "weights that no cell names"


@dataclass(eq=False)
class Usage:
    """Bytes and files, by name of what they are counted for."""

    size: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, *entries: Entry) -> None:
        """Count some files."""
        self.size[name] += sum(entry.size for entry in entries)
        self.files[name] += len(entries)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Bytes and files by name, the largest first."""
        order = sorted(self.files, key=lambda name: (-self.size[name], name))
        return {n: {"bytes": self.size[n], "files": self.files[n]} for n in order}


def usage(blobs: Blobs, tell: Told = silent) -> dict[str, Usage]:
    """Bytes and files by ``kind`` and, of committed cells, by ``dataset model method``.

    Weights that several cells name count for the one that trained them, or the first by key.
    Weights are taken for full copies if they are as large as some that were stored without a
    parent; none are opened.

    Raises:
        StoreError: The store cannot be read.
    """
    stock = Inventory.of(blobs)
    kinds, cells = Usage(), Usage()
    _plain(stock, kinds)
    named: dict[str, dict[str, Any]] = {}
    read = manifests(blobs, sorted(stock.cells()), tell)
    intact = {f: m for f, m in read.items() if not isinstance(m, StoreError)}
    # base models before the cells that measure them
    for folder, manifest in sorted(intact.items(), key=lambda one: "0" not in one[1]["weights"]):
        cells.add(_label(manifest), *stock.committed[folder])
        for sha in sorted(named_weights(manifest)):
            if sha in named or sha not in stock.weights:
                continue
            named[sha] = manifest
            cells.add(_label(manifest), stock.weights[sha])
    _weights(stock, named, kinds)
    return {"kind": kinds, "cells": cells}


def _plain(stock: Inventory, kinds: Usage) -> None:
    for folder, entries in stock.committed.items():
        if folder.startswith("data/"):
            kinds.add("data", *entries)
            continue
        if folder.startswith(f"{IMPORTED}/"):
            kinds.add("imported results", *entries)
            continue
        for entry in entries:
            kinds.add("logs" if entry.name.endswith(".jsonl") else "tables", entry)
    for entries in stock.open.values():
        kinds.add("cells and data not finished", *entries)
    kinds.add("leftovers of finished cells", *stock.leftovers)
    kinds.add("runs", *stock.runs)
    kinds.add("trash", *stock.trash)
    kinds.add("temporary files", *stock.temporary)
    kinds.add("raw and other files", *stock.other)


def _weights(stock: Inventory, named: dict[str, dict[str, Any]], kinds: Usage) -> None:
    whole = {stock.weights[sha].size for sha, cell in named.items() if _is_trained(cell)}
    for sha, entry in stock.weights.items():
        is_full = sha in named and entry.size in whole
        kinds.add(ORPHANS if sha not in named else FULL if is_full else DIFFERENCES, entry)


def _is_trained(manifest: dict[str, Any]) -> bool:
    """Whether a cell begins with no base model, so that its weights have no parent."""
    return manifest["facts"].get("method") in ("base", "original", "retrain", "exact")


def _label(manifest: dict[str, Any]) -> str:
    facts = manifest.get("facts", {})
    return " ".join(str(facts.get(name, "-")) for name in ("dataset", "model", "method"))
