"""``erase-ray datasets prepare``: from raw files to the store."""

import argparse

from erase_ray.cli._options import DEFAULT_STORAGE, dataset_part, places
from erase_ray.cli._text import Steps, peak_memory_bytes, show, size_text
from erase_ray.data.description import describe
from erase_ray.data.prepared import Prepared
from erase_ray.errors import StoreError
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.preparing import (
    RawFiles,
    check_same_raw,
    find_raw,
    has_results,
    read_and_prepare,
)
from erase_ray.experiment.store import Store
from erase_ray.report.data_text import cleaning_lines, part_lines, size_lines


def run(args: argparse.Namespace) -> int:
    """Prepare a dataset into the store, unless it is there already."""
    dataset, where = dataset_part(args), places(args)
    store, key = Store(args.storage or DEFAULT_STORAGE), data_key(dataset)
    place = f"{store.uri}/data/{dataset.name}/{key}"
    print(f"{dataset.name} {key[:12]}", flush=True)
    with Steps() as steps:
        steps("raw files")
        raw = find_raw(dataset, where)
        steps.close(f"{len(raw.files)} files, {size_text(raw.size_bytes)}")
        if _is_settled(args, store, dataset, key, raw):
            print(f"was prepared before, at {place}")
            return 0
        data = read_and_prepare(dataset, raw, where.scratch, steps)
        steps("store")
        if args.force:
            store.drop_data(dataset.name, key)
        store.put_data(data, key)
    _show(data)
    print(f"\n{steps.total_s:.1f} s, {_memory_line(where.scratch.memory_bytes)}")
    print(f"key   {key}\nplace {place}")
    return 0


def _memory_line(budget_bytes: int) -> str:
    peak = peak_memory_bytes()
    line = f"peak memory {size_text(peak)}"
    if peak <= budget_bytes:
        return line
    return f"{line}, more than --memory {size_text(budget_bytes)}: the finished table is in memory"


def _show(data: Prepared) -> None:
    description = describe(data, sample_size=0)
    for lines in (cleaning_lines(data.counts), size_lines(description), part_lines(description)):
        if lines:
            show(["", *lines])


def _is_settled(
    args: argparse.Namespace, store: Store, dataset: Part, key: str, raw: RawFiles
) -> bool:
    """True if the store has it and may keep it.

    Raises:
        StoreError: It has it from other raw files, and may not lose it.
    """
    if not store.has_data(dataset.name, key):
        return False
    try:
        check_same_raw(store, dataset, key, raw)
    except StoreError:
        if not args.force or has_results(store, key):
            raise
    return not args.force
