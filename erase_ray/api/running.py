"""Run a grid, in this process or on Ray, and return what it measured."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

import erase_ray
from erase_ray.api.progress import Progress, ticking, watchers_of
from erase_ray.api.results import Results, results_of
from erase_ray.distributed.main import Job
from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment.grid import Grid, given_grid, load_grid
from erase_ray.registry import known_names

GRIDS = Path("jobs", "grids")
"""Where profiles are, in the working directory or in the checkout that this package is from."""
GridLike = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A profile, a YAML file, what such a file holds, or its blocks alone."""


def run(
    grid: GridLike = "smoke",
    storage: str | Path = "./runs",
    *,
    only: str = "",
    set: Sequence[str] | Mapping[str, Any] = (),
    ray: bool = False,
    threads: int = 1,
    budget: float | None = None,
    progress: Progress = True,
) -> Results:
    """Run what is left of a grid and return its results.

    The cells, their keys and their bytes are those of ``jobs/full_grid.py``; either goes on where
    the other stopped. A cell that fails does not stop the others: it is in ``failures``. After an
    interrupt the same call goes on from there.

    Example::

        >>> import erase_ray
        >>> results = erase_ray.run(
        ...     {
        ...         "seeds": [2],
        ...         "blocks": [{
        ...             "datasets": {"planted": {"task": "cf"}},
        ...             "models": "bpr",
        ...             "training": {"epochs": 1},
        ...             "methods": ["original"],
        ...             "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.01}},
        ...         }],
        ...     },
        ...     "memory://example",
        ...     progress=False,
        ... )
        >>> len(results), results.failures
        (1, [])

    Args:
        grid: Name of a profile in ``jobs/grids``, a YAML file, what such a file holds as a
            dictionary, or a list of its blocks.
        storage: Folder or address of the store.
        only: ``key=value,...`` keeps the cells that match; ``|`` between several values.
        set: Changes of the grid: ``["training.epochs=3"]`` or ``{"training.epochs": 3}``.
        ray: True to run on Ray, on all cores of this machine or on the cluster that
            ``RAY_ADDRESS`` names; else one cell after the other in this process.
        threads: CPU threads of torch without Ray. Results are those of the job, bit by bit, with
            one.
        budget: Dollars; a plan that is expected to cost more is not started.
        progress: True for a line, False for none, None for one where somebody sees it, or a
            function that is given a :class:`erase_ray.Step` after each cell.

    Raises:
        GridError: The grid has no such cells, or is too dear.
        SettingsError: It has unknown keys or values.
        StoreError: The storage cannot be written.
    """
    job = Job.open(_loaded(grid, only, _assignments(set)), str(storage))
    job.afford(budget)
    failures: list[dict[str, str]] = []
    if job.plan.pending():
        failures = _executed(job, progress, ray, threads)
    return results_of(job.store, [node.key for node in job.plan.requested], failures)


def _executed(job: Job, progress: Progress, ray: bool, threads: int) -> list[dict[str, str]]:
    shown = watchers_of(progress, job.machine.slots if ray else 1)
    if ray:
        return job.execute(shown)
    with _threads(threads), ticking(shown) as watchers:
        return job.execute(watchers, here=True)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _assignments(changes: Sequence[str] | Mapping[str, Any]) -> list[str]:
    if isinstance(changes, str):
        return [changes]
    if not isinstance(changes, Mapping):
        return list(changes)
    return [f"{key}={_yaml(value)}" for key, value in changes.items()]


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20)
    return text.removesuffix("...\n").removesuffix("\n")  # dots stand behind a lone value


def _loaded(grid: GridLike, only: str, changes: list[str]) -> Grid:
    if isinstance(grid, str | Path):
        return load_grid(_found(grid), only, changes)
    content = dict(grid) if isinstance(grid, Mapping) else {"blocks": list(grid)}
    try:
        plain = yaml.safe_load(yaml.safe_dump(content, sort_keys=False))
    except yaml.YAMLError as error:
        raise SettingsError(
            f"the grid holds something else than texts, numbers, lists and mappings: {error}"
        ) from error
    return given_grid(plain, only, changes)


def _found(grid: str | Path) -> Path:
    """The file of a grid.

    Raises:
        GridError: There is neither a file nor a profile of this name.
    """
    if Path(grid).suffix in (".yaml", ".yml"):
        return Path(grid)
    profiles = {path.stem: path for path in _profiles()}
    if str(grid) not in profiles:
        known = known_names(str(grid), sorted(profiles)) if profiles else ""
        raise GridError(f"no grid is called '{grid}', and it is no .yaml file.{known}")
    return profiles[str(grid)]


def _profiles() -> list[Path]:
    checkout = Path(erase_ray.__file__).parents[1]
    return [path for root in (checkout, Path()) for path in sorted((root / GRIDS).glob("*.yaml"))]
