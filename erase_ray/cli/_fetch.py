"""``erase-ray datasets fetch``: raw files that can be downloaded, and how to get the others."""

import argparse
from pathlib import Path

from erase_ray.cli._options import cache_folder
from erase_ray.cli._text import show, size_text
from erase_ray.datasets import DATASETS, About, Dataset
from erase_ray.datasets._archives import sha256_of
from erase_ray.datasets._fetch import fetch
from erase_ray.datasets._own_files import (
    described,
    download_files,
    find_files,
    key_of,
    missing_files,
    own_folders,
)
from erase_ray.datasets._page import has_own_files

INCOMPLETE = 1


def run(args: argparse.Namespace) -> int:
    """Download what has an address, say where the rest is; 1 if that is still to be done."""
    dataset, cache = DATASETS.get(args.name), cache_folder(args)
    if has_own_files(dataset):
        print(f"the raw files of {args.name} are your own: name them in its settings")
        return 0
    if not dataset.sources and not dataset.about:
        print(f"{dataset.name} is made, there is nothing to fetch")
        return 0
    if dataset.sources:
        _from_sources(dataset, cache)
        return 0
    assert dataset.about
    folder = own_folders(cache, dataset.name)[0]
    _download(dataset.about, folder, args.force)
    return _by_hand(dataset.name, dataset.about, folder)


def _from_sources(dataset: type[Dataset], cache: Path) -> None:
    print(f"{dataset.name}: verified files", flush=True)
    for name, path in sorted(fetch(dataset.sources, cache).items()):
        print(f"  {name}  {size_text(path.stat().st_size)}  sha256 {sha256_of(path)}\n    {path}")


def _download(about: About, folder: Path, force: bool) -> None:
    files = [file for file in about.files if file.address]
    if not files:
        return
    show(f"  {described(file)}" for file in files)
    for name, (path, facts, is_new) in download_files(files, folder, force).items():
        print(f"  {name}  {size_text(facts.size_bytes)}  sha256 {facts.sha256}\n    {path}")
        if is_new:
            print("    warning: could not be verified, no checksum of its publisher is known")


def _by_hand(name: str, about: About, folder: Path) -> int:
    """What is still missing, and what to do about it."""
    found = find_files(about.files, folder)
    missing = missing_files(about.files, found)
    extra = [file for file in about.files if key_of(file) not in found and file not in missing]
    if extra:
        show(["optional, not there:", *(f"  {described(file)}: {file.holds}" for file in extra)])
    if not missing:
        print(f"all raw files of {name} are in {folder}")
        return 0
    show(
        [
            f"{len(missing)} files of {name} have to be downloaded by hand"
            f"{' (of several editions, one is enough)' if missing[0].optional else ''}:",
            f"  1. Open {about.address} (licence: {about.licence})",
            f"  2. Put these files, packed with gzip or not, into {folder}",
            *(f"       {described(file)}: {file.holds}" for file in missing),
            "     or into a folder of yours, to be given with --raw",
            f"  3. erase-ray datasets prepare {name} [--raw FOLDER] --storage URI",
        ]
    )
    return INCOMPLETE
