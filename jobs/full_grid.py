"""The main job: plan a grid, run what the store does not have, and report.

    python jobs/full_grid.py --profile laptop --storage ./runs

The same command again goes on where the last one stopped, however it stopped.
"""

import argparse
import shlex
import sys
from pathlib import Path

from erase_ray import log
from erase_ray.distributed.main import Job, exit_code, failure_lines
from erase_ray.errors import EraseError
from erase_ray.experiment.grid import load_grid

GRIDS = Path(__file__).parent / "grids"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plan a grid, run what is left of it, and report.")
    profiles = sorted(path.stem for path in GRIDS.glob("*.yaml"))
    parser.add_argument(
        "--profile", choices=profiles, default="laptop", help="a grid of jobs/grids"
    )
    parser.add_argument("--grid", type=Path, help="a grid file of your own, instead of a profile")
    parser.add_argument("--storage", default="./runs", help="folder or address of the store")
    parser.add_argument("--only", default="", metavar="KEY=VALUE,...", help="keep matching cells")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="change the grid",
    )
    parser.add_argument("--budget", type=float, help="dollars; a plan above is not started")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--log", default="WARNING", help="level of the log on standard error")
    return parser.parse_args()


def main() -> int:
    """Plan, print the plan, run, report; the exit code says how it went."""
    args = arguments()
    log.set_up(args.log)
    grid = load_grid(args.grid or GRIDS / f"{args.profile}.yaml", args.only, args.changes)
    job = Job.open(grid, args.storage)
    print(job.describe(), flush=True)
    if args.dry_run:
        return 0
    job.afford(args.budget)
    failures = job.execute() if job.plan.pending() else []
    table, page = job.report(failures, shlex.join(["python", *sys.argv]))
    print(table)
    print(*job.hindsight(), sep="\n")
    print(f"results: {job.store.uri}\nreport:  {page}")
    for line in failure_lines(failures):
        print(f"failed: {line}", file=sys.stderr)
    return exit_code(failures)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EraseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
