"""``erase-ray import recbole-data``: atomic files to a grid, or into the store."""

import argparse
import json
from pathlib import Path
from typing import Any

from erase_ray.cli import _prepare
from erase_ray.cli._prepared import named_pair
from erase_ray.cli._text import show
from erase_ray.errors import SettingsError
from erase_ray.imports.recbole_data import Asked, find_files, grid_text, table_settings

NOTE = "# made by 'erase-ray import recbole-data'; models, methods and scenarios are a beginning"


def run(args: argparse.Namespace) -> int:
    """Show a grid over the files, write it, or prepare the data."""
    if args.out and args.out.exists():
        raise SettingsError(f"{args.out} exists; name another file, or delete it")
    categories = dict(named_pair(text, "--category") for text in args.category)
    asked = Asked(args.task, args.core, args.min_rating, categories)
    scratch = args.out.parent if args.out else Path()
    files = [file for path in args.paths for file in find_files(path)]
    datasets = [table_settings(file, asked, scratch) for file in files]
    text = f"{NOTE}\n{grid_text(datasets)}"
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
        show([f"{len(datasets)} datasets in {args.out}"])
    if args.storage:
        for settings in datasets:
            _prepare.run(_as_prepare(args, settings))
    if not args.out and not args.storage:
        show([text.rstrip()])
    return 0


def _as_prepare(args: argparse.Namespace, settings: dict[str, Any]) -> argparse.Namespace:
    """The options of ``erase-ray datasets prepare table`` that say the same."""
    return argparse.Namespace(
        name="table",
        set=[f"{key}={json.dumps(value)}" for key, value in settings.items()],
        skip_bad=False,
        raw=None,
        storage=args.storage,
        memory=args.memory,
        cache=None,
        force=False,
    )
