"""MLflow: the grid as a run, and each cell as a run nested in it."""

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from erase_ray.errors import EraseError
from erase_ray.experiment._address import without_secrets
from erase_ray.report.exports._library import library
from erase_ray.report.exports._read import CellExport

EXPERIMENT = "erase-ray"
KEY, GRID, PARENT = "erase_ray.cell", "erase_ray.grid", "mlflow.parentRunId"
FINISHED = "FINISHED"
_BATCH = {"metrics": 1000, "params": 100, "tags": 100}
"""The most of each that a server takes at once."""
_PAGE = 1000
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}

T = TypeVar("T")


class Server:
    """An MLflow tracking server, or a local database.

    Args:
        out: A local folder, which gets ``mlflow.db`` and ``artifacts/``, or a tracking URI.
        grid: Name of the run that all cells are nested in.

    Raises:
        EraseError: The library is missing, or the server cannot be used.
    """

    def __init__(self, out: str, grid: str) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        self._entities = library("mlflow.entities", "mlflow")
        client = library("mlflow.tracking", "mlflow").MlflowClient
        self._error = library("mlflow.exceptions", "mlflow").MlflowException
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._address, artifacts = _address(out)
        with self._told():
            self._client: Any = client(tracking_uri=self._address)
            self._experiment = self._experiment_id(artifacts)
            self._parent = self._grid_run(grid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        """End the run of the grid."""
        with self._told():
            self._client.set_terminated(self._parent, FINISHED if args[0] is None else "FAILED")

    def there(self) -> set[str]:
        """Keys of cells whose run has ended; runs that were broken off are deleted."""
        found = set()
        with self._told():
            for run in self._runs(f"attributes.run_id != '{self._parent}'"):
                key = run.data.tags.get(KEY)
                if key and run.info.status == FINISHED:
                    found.add(key)
                elif key:
                    self._client.delete_run(run.info.run_id)
        return found

    def put(self, cell: CellExport) -> None:
        """Make the run of a cell; it is finished when all of it is there."""
        when_ms = int(1000 * cell.created_s)
        metric, param, tag = (getattr(self._entities, n) for n in ("Metric", "Param", "RunTag"))
        logged = {
            "metrics": [metric(p.name, p.value, when_ms, p.step) for p in cell.points],
            "params": [param(name, str(value)) for name, value in cell.params.items()],
            "tags": [tag(f"erase_ray.{name}", value) for name, value in cell.tags.items()],
        }
        with self._told():
            run = self._client.create_run(
                self._experiment,
                start_time=when_ms,
                tags={KEY: cell.key, PARENT: self._parent},
                run_name=cell.label,
            ).info.run_id
            for kind, values in logged.items():
                for batch in _batches(values, _BATCH[kind]):
                    self._client.log_batch(run, **{kind: batch})
            self._put_files(run, cell.files)
            self._client.set_terminated(run, FINISHED, end_time=when_ms)

    def _put_files(self, run: str, files: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self._client.log_artifacts(run, folder)

    def _experiment_id(self, artifacts: str | None) -> str:
        known = self._client.get_experiment_by_name(EXPERIMENT)
        if known is None:
            return self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        if known.lifecycle_stage != "active":
            raise EraseError(
                f"the experiment '{EXPERIMENT}' at {without_secrets(self._address)} was deleted; "
                "restore it or remove it for good"
            )
        return known.experiment_id

    def _grid_run(self, grid: str) -> str:
        for run in self._runs(f"tags.`{GRID}` = '{grid}'"):
            return run.info.run_id
        made = self._client.create_run(self._experiment, tags={GRID: grid}, run_name=grid)
        return made.info.run_id

    def _runs(self, where: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], where, max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            text = without_secrets(f"MLflow at {self._address}: {error}")
            raise EraseError(text) from error


def _address(out: str) -> tuple[str, str | None]:
    """Tracking URI and, for a local database, where artefacts go."""
    local = "sqlite:///"
    if out.startswith(local):
        return out, (Path(out.removeprefix(local)).resolve().parent / "artifacts").as_uri()
    if "://" in out or out == "databricks":
        return out, None
    folder = Path(out).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"{local}{folder}/mlflow.db", (folder / "artifacts").as_uri()


def _batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
