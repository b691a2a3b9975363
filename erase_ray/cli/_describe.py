"""``erase-ray datasets describe`` and ``check``: look at a prepared dataset."""

import argparse
from pathlib import Path

from erase_ray.cli._options import DEFAULT_STORAGE, dataset_part, places, scenario_part
from erase_ray.data.description import describe as described
from erase_ray.data.prepared import Prepared
from erase_ray.errors import FetchError
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.chain_checks import chain_checks, usual_scenarios
from erase_ray.experiment.data_checks import Check, data_checks
from erase_ray.experiment.preparing import find_raw, read_and_prepare
from erase_ray.experiment.store import Store
from erase_ray.report.data_plot import check_plot_name, write_data_plot
from erase_ray.report.data_text import data_text

FAILED = 1
_MARKS = {"ok": "ok  ", "fail": "FAIL", "skipped": "skip"}


def describe(args: argparse.Namespace) -> int:
    """Print what a dataset looks like, and draw it."""
    if args.plot:
        check_plot_name(args.plot)
    data = _data(args)
    description = described(data, args.sample, args.seed)
    print(data_text(description, data.counts))
    if args.plot:
        print(f"\nplot: {write_data_plot(description, args.plot)}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Print one line a check; 1 if one of them failed."""
    asked = [scenario_part(text) for text in args.scenario or []]
    data = _data(args)
    failed = 0
    for found in data_checks(data):
        failed += _show(found)
    for scenario in asked or usual_scenarios(data):
        for found in chain_checks(data, scenario, args.seed):
            failed += _show(found)
    print(f"checks that failed: {failed}" if failed else "no check failed")
    return FAILED if failed else 0


def _show(found: Check) -> bool:
    print(f"{_MARKS[found.status]}  {found.name}: {found.figures}", flush=True)
    return found.status == "fail"


def _data(args: argparse.Namespace) -> Prepared:
    """The prepared dataset: from the store, or else made from raw files and not stored.

    Raises:
        FetchError: The store does not have it, and raw files are missing.
    """
    dataset = dataset_part(args)
    key, address = data_key(dataset), args.storage or DEFAULT_STORAGE
    if args.storage or Path(address).is_dir():
        store = Store(address, read_only=True)
        if store.has_data(dataset.name, key):
            print(f"from {store.uri}/data/{dataset.name}/{key}\n")
            return store.get_data(dataset.name, key)
        others = store.data_keys(dataset.name)
        address = f"{store.uri} ({_others(others)})"
    return _from_raw(args, dataset, address)


def _from_raw(args: argparse.Namespace, dataset: Part, address: str) -> Prepared:
    where = places(args)
    try:
        raw = find_raw(dataset, where)
    except FetchError as error:
        name = f"{dataset.name} {data_key(dataset)[:12]}"
        raise FetchError(f"{name} is not prepared in {address}, and {error}") from error
    print(f"not prepared in {address}; made from raw files now, not stored\n", flush=True)
    return read_and_prepare(dataset, raw, where.scratch)


def _others(keys: list[str]) -> str:
    if not keys:
        return "which has none of it"
    return f"which has it with other settings: {', '.join(key[:12] for key in keys)}"
