"""The command line: ``erase-ray COMMAND ...``."""

import argparse
import sys
from collections.abc import Sequence

from erase_ray import log
from erase_ray.cli import (
    check,
    compare,
    datasets,
    export,
    import_,
    new,
    report,
    status,
    store,
    submit,
    verify,
)
from erase_ray.errors import EraseError

MENDABLE, STOPPED = 2, 130
COMMANDS = (
    datasets, report, status, compare, export, import_, submit, verify, store, check, new,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the name of the program; those of the process by default.

    Returns:
        0 if all is well, 1 if what was looked at is not, 2 if the user has to mend something.
    """
    args = parser().parse_args(argv)
    log.set_up(args.log)
    try:
        return args.run(args)
    except EraseError as error:
        return _failed(str(error))
    except OSError as error:  # a full disk, a folder that is not ours
        return _failed(str(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return STOPPED


def _failed(text: str) -> int:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return MENDABLE


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    top = argparse.ArgumentParser(
        prog="erase-ray", description="Benchmark of machine unlearning in recommender systems."
    )
    top.add_argument("--log", default="WARNING", help="level of the log on standard error")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for part in COMMANDS:
        part.add_commands(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
