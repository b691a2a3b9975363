"""Options of commands that look at a part of a store."""

import argparse

from erase_ray.errors import SettingsError


def add_sample(parser: argparse.ArgumentParser) -> None:
    """Add ``--sample`` and ``--seed``."""
    parser.add_argument(
        "--sample", type=float, default=1.0, metavar="SHARE", help="read this part of it, 0 to 1"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the sample")


def share_of(args: argparse.Namespace) -> float:
    """The part to look at.

    Raises:
        SettingsError: It is no share.
    """
    if not 0 < args.sample <= 1:
        raise SettingsError(f"--sample takes a share above 0 and up to 1, got {args.sample:g}")
    return args.sample
