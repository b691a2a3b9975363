"""``erase-ray datasets synthesize``: made-up raw files in an original format."""

import argparse
import json
from pathlib import Path
from typing import Any

from erase_ray.cli._text import Steps, folder_text
from erase_ray.datasets import _synthetic
from erase_ray.errors import SettingsError, UnknownNameError
from erase_ray.registry import known_names

TRUTH = "truth.json"


def run(args: argparse.Namespace) -> int:
    """Write the raw files of a format, and what is in them."""
    _check_name(args.name)
    _check(args.out, args.scale, args.force)
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"{args.name}, scale {args.scale:g}, seed {args.seed}", flush=True)
    with Steps() as steps:
        steps("write raw files")
        _synthetic.write(args.name, args.out, args.scale, args.seed)
        steps.close(folder_text(args.out))
        if not args.no_truth:
            steps("read them the slow way")
            truth = _synthetic.truth(args.name, args.out, args.seed)
            text = json.dumps(truth, indent=1, default=_plain, ensure_ascii=False)
            (args.out / TRUTH).write_text(text + "\n", encoding="utf-8")
            steps.close(TRUTH)
    print(f"place {args.out}")
    return 0


def _check_name(name: str) -> None:
    known = _synthetic.names()
    if name not in known:
        text = f"no raw files can be made up for '{name}'.{known_names(name, known)}"
        raise UnknownNameError(text)


def _check(out: Path, scale: float, force: bool) -> None:
    if not scale > 0:
        raise SettingsError(f"--scale must be above 0, got {scale:g}")
    if out.is_file():
        raise SettingsError(f"--out {out} is a file, expected a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise SettingsError(f"--out {out} has files in it; take another folder, or --force")


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else value.tolist()
