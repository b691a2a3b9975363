"""From options to what the layers below take."""

import argparse
import re
from pathlib import Path

from erase_ray.datasets import DATASETS, Scratch
from erase_ray.errors import SettingsError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.preparing import Places, user_folder
from erase_ray.scenarios import SCENARIOS
from erase_ray.settings import parse_assignment

DEFAULT_STORAGE = "./runs"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?|)B?\s*", re.IGNORECASE)
LEAST_BYTES = 2**28


def dataset_part(args: argparse.Namespace) -> Part:
    """The dataset with the settings of ``--set`` and ``--skip-bad``.

    Raises:
        UnknownNameError: There is no such dataset.
        SettingsError: A setting is unknown or out of range.
    """
    settings = dict(parse_assignment(text) for text in args.set)
    if args.skip_bad:
        settings["skip_bad"] = True
    return Part.resolved(DATASETS, args.name, settings)


def places(args: argparse.Namespace) -> Places:
    """Where raw files are, and the budget of memory.

    Raises:
        SettingsError: The budget is no size, or too small.
    """
    budget = memory_bytes(args.memory)
    scratch = Scratch(Path(args.cache), budget) if args.cache else Scratch.default(budget)
    return Places(scratch.folder, args.raw or user_folder(), scratch)


def cache_folder(args: argparse.Namespace) -> Path:
    """Folder of fetched raw files."""
    return Path(args.cache) if args.cache else Scratch.default().folder


def memory_bytes(text: str) -> int:
    """A size such as ``4GB``, ``4GiB`` or ``500000000`` in bytes.

    Raises:
        SettingsError: It is none, or less than reading takes.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise SettingsError(f"--memory takes a size such as 4GB or 512MiB, got '{text}'")
    size = int(float(found[1]) * (_UNITS | _BINARY)[found[2].upper()])
    if size < LEAST_BYTES:
        raise SettingsError(f"--memory {text} is too little; {LEAST_BYTES >> 20}MiB is the least")
    return size


def scenario_part(text: str) -> Part:
    """A scenario from a text such as ``sensitive category=meat fraction=1e-4``.

    Raises:
        UnknownNameError: There is no such scenario.
        SettingsError: A setting is unknown, missing or out of range.
    """
    name, *assignments = text.split() or [""]
    settings = dict(map(parse_assignment, assignments))
    return Part.resolved(SCENARIOS, name, settings)
