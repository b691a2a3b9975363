"""From a grid to a report: what stands behind ``jobs/full_grid.py``."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from erase_ray import errors
from erase_ray.errors import EraseError, GridError, StoreError
from erase_ray.experiment.fit import Fit
from erase_ray.experiment.grid import Grid
from erase_ray.experiment.plan import Plan, build
from erase_ray.experiment.plan_text import dollars, estimate, summary
from erase_ray.experiment.preparing import check_own_files
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.progress import LiveLine, StoredStatus, status_of
from erase_ray.experiment.refining import Refining
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import Watcher, run_serial
from erase_ray.report import summary_table, write_report
from erase_ray.report.run_files import read_runs

NOTHING_LEFT = "0 cells to run"
IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray where it runs a submitted job."""


@dataclass(frozen=True)
class Job:
    """A grid, its plan against a store, and the run that belongs to them.

    The run is named after what the grid asks for, so the same command goes on in the same run.
    """

    storage: str
    store: Store
    plan: Plan
    machine: Machine
    fit: Fit

    @classmethod
    def open(cls, grid: Grid, storage: str) -> "Job":
        """The job of ``grid`` on the store at ``storage``.

        Raises:
            StoreError: The storage cannot be read or written, or holds data that were made from
                files of the user that have changed since; or it is a relative path in a
                submitted job.
        """
        address = absolute(storage)
        if IN_JOB in os.environ and "://" not in storage and not os.path.isabs(storage):
            raise StoreError(
                f"--storage {storage} would lie in the copy of the project that Ray made for "
                "this job and deletes; give a full path or the address of an object store"
            )
        store = Store(address)
        plan = build(grid.cells, store, grid.machine)
        check_own_files(plan.nodes.values(), store)
        fit = Fit.of_store(store, plan, grid.machine)
        plan.refresh(fit)
        return cls(address, store, plan, grid.machine, fit)

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.plan.hash[:12]

    def describe(self) -> str:
        """The plan as text."""
        return summary(self.plan, self.machine) if self.plan.pending() else NOTHING_LEFT

    def afford(self, budget: float | None) -> None:
        """Check the price of what is left.

        Raises:
            GridError: It is expected to cost more than ``budget`` dollars.
        """
        price = dollars(self.plan, self.machine)
        if budget is not None and price > budget:
            raise GridError(
                f"the plan is expected to cost ${price:.2f}, above --budget {budget:g}; "
                "raise it, or take fewer cells with --only"
            )

    def execute(
        self, shown: Sequence[Watcher] | None = None, here: bool = False
    ) -> list[dict[str, str]]:
        """Run what is left; ``label`` and ``error`` of each node that failed.

        Args:
            shown: Hear of every step; a line on the terminal by default.
            here: True for one node after the other in this process, without Ray.
        """
        expected = json.dumps(estimate(self.plan, self.machine), indent=1)
        self.store.put_run(self.run, "estimate.json", expected + "\n")
        own = [LiveLine(self.machine.slots)] if shown is None else shown
        watchers = [*own, StoredStatus(self.store, self.run), Refining(self.fit)]
        if here:
            return status_of(run_serial(self.plan, self.storage, run_node, watchers))["failed"]
        from erase_ray.distributed.sweep import sweep  # so that planning does not import Ray

        return status_of(sweep(self.plan, self.storage, watchers, machine=self.machine))["failed"]

    def hindsight(self) -> list[str]:
        """How far off the estimates of what was run here were, as lines of text."""
        return self.fit.report()

    def report(self, failures: list[dict[str, str]], command: str) -> tuple[str, str]:
        """A table of the cells, and where the report on them was written.

        Args:
            failures: What :meth:`execute` returned.
            command: What to type to get the same numbers; the report shows it.
        """
        planned = {node.key: node.payload["cell"] for node in self.plan.requested}
        with tempfile.TemporaryDirectory() as folder:
            out = folder if self._remote else os.path.join(self.storage, "report")
            page = write_report(
                self.store,
                planned,
                out,
                planned=planned,
                failures=failures,
                command=command,
                runs=read_runs(self.store, self.run) if self.run in self.store.runs() else None,
            )
            self.store.put_run(self.run, "report/index.html", Path(page).read_text())
        if self._remote:
            page = f"{self.store.uri}/runs/{self.run}/report/index.html"
        return summary_table(self.store, planned, planned), page

    @property
    def _remote(self) -> bool:
        return "://" in self.storage


def absolute(storage: str) -> str:
    """``storage`` as an address that means the same in every process: local paths in full."""
    if storage.startswith("file://"):
        storage = storage.removeprefix("file://")
    return storage if "://" in storage else str(Path(storage).expanduser().resolve())


def failure_lines(failures: list[dict[str, str]]) -> list[str]:
    """One line for each different error, with the nodes that it ended."""
    ended: dict[str, list[str]] = {}
    for failure in failures:
        ended.setdefault(failure["error"], []).append(failure["label"])
    return [
        f"{labels[0]}{f' and {len(labels) - 1} more' if len(labels) > 1 else ''}: {error}"
        for error, labels in ended.items()
    ]


def exit_code(failures: list[dict[str, str]]) -> int:
    """0 without failures, 2 if the user can mend all of them, else 1."""
    if not failures:
        return 0
    family = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, EraseError)
    }
    return 2 if all(failure["error"].split(":")[0] in family for failure in failures) else 1
