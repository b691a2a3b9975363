"""Results of a store as data frames, tables and figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from erase_ray.errors import SettingsError
from erase_ray.experiment.results import ORIGINAL, RESULTS, RETRAIN
from erase_ray.experiment.store import Store
from erase_ray.imports.stored import imported_results
from erase_ray.registry import known_names
from erase_ray.report.evidence import gather
from erase_ray.report.leaderboard import typed
from erase_ray.report.options import Options
from erase_ray.report.picking import pick
from erase_ray.report.read import CellInfo, is_measured
from erase_ray.report.stored import FIELDS, stored_cells
from erase_ray.scenarios._base import NUM_MARKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, IMPORTED = "erase_ray", "erase"
"""Values of the column ``source``: computed here; the published implementation's."""
Source = Literal["all", "erase_ray", "erase"]
_INTEGERS = ("seed", "mark", "k", "n")
_FLOATS = ("fraction", "value")
COLUMNS: dict[str, str] = {
    **{name: "Int64" if name in _INTEGERS else "string" for name in RESULTS},
    **dict.fromkeys(_FLOATS, "float64"),
    "source": "string",
}
"""Columns of :attr:`Results.frame` and their types."""
COMBINATION = ["dataset", "model", "scenario", "category", "fraction"]
"""What methods are compared within."""
_ABOUT = ["dataset", "model", "method", "scenario", "category", "fraction", "seed"]


@dataclass(frozen=True, eq=False)
class Results:
    """Finished cells of a store.

    Args:
        store: Where they are.
        cells: Settings and manifest of each.
        imported: Rows of the published implementation; columns of :data:`COLUMNS`.
        failures: ``label`` and ``error`` of cells that failed in the run that returned this.
    """

    store: Store
    cells: Sequence[CellInfo]
    imported: pd.DataFrame
    failures: Sequence[Mapping[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of finished cells."""
        return len(self.cells)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One measured number a row: the columns of ``RESULTS`` and ``source``."""
        return self._measured("results", self.imported)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Seconds, memory and energy, in the columns of :attr:`frame`."""
        return self._measured("costs", self.imported.head(0))

    @cached_property
    def requests(self) -> pd.DataFrame:
        """One request a row: what it is about, the columns of ``REQUESTS``, and its cell."""
        frames = []
        for cell in self._own:
            table = self.store.table(cell.key, "requests")
            if len(table):
                frames.append(table.assign(**_about(cell), cell=cell.key))
        if not frames:
            empty = self.store.gather([], "requests")
            return empty.reindex(columns=[*_ABOUT, *empty.columns, "cell"])
        found = pd.concat(frames, ignore_index=True)
        first = [*_ABOUT, "request"]
        rest = [str(name) for name in found.columns if name not in first]
        return found.reindex(columns=[*first, *rest])

    def pivot(self, metric: str = "recall", k: int = 20, *, mark: int = NUM_MARKS) -> pd.DataFrame:
        """One combination of dataset, model and scenario a row, one method a column.

        Args:
            metric: Name of the metric.
            k: Cut-off; 0 for metrics that have none.
            mark: Share of the requests that was served, in quarters (1 to 4).

        Returns:
            Means over seeds; NaN where a method was not run.

        Raises:
            SettingsError: There are no such numbers.
        """
        rows = self.rows(metric, k, mark)
        has_both = len(set(rows["source"].tolist())) > 1
        keys = [*COMBINATION, *(["source"] if has_both else [])]
        wide = rows.pivot_table("value", keys, "method", aggfunc="mean", dropna=False)
        return wide.reindex(columns=_ordered(wide.columns))

    def rows(self, metric: str, k: int, mark: int = NUM_MARKS) -> pd.DataFrame:
        """The rows of :attr:`frame` with one metric at one cut-off and mark.

        Raises:
            SettingsError: There are none; the text says what there is.
        """
        frame = self.frame
        named = pick(frame, frame["metric"] == metric)
        if not len(named):
            known = sorted(set(frame["metric"].tolist()))
            raise SettingsError(f"no metric '{metric}' was measured.{known_names(metric, known)}")
        found = pick(named, (named["k"] == k) & (named["mark"] == mark))
        if not len(found):
            ks, marks = (sorted(set(named[name].tolist())) for name in ("k", "mark"))
            raise SettingsError(
                f"'{metric}' was not measured at k={k}, mark={mark}; there are k of {ks} and "
                f"marks of {marks}"
            )
        return found

    def leaderboard(self, options: Options | None = None) -> pd.DataFrame:
        """The leaderboard of the report: one method and combination a row, with verdicts.

        Intervals are a bootstrap over people and seeds, which takes seconds a combination;
        ``Options(intervals=False)`` leaves them and the verdicts out. Imported rows have no
        people, so they are not in it. docs/report.md explains the columns.
        """
        keys = [cell.key for cell in self.cells]
        return gather(self.store, keys, options or Options()).frames["leaderboard"]

    def plot(
        self,
        utility: tuple[str, int] = ("ndcg", 20),
        forgetting: tuple[str, int] = ("sensitive_share", 20),
        *,
        mark: int = NUM_MARKS,
    ) -> "Figure":
        """Utility against forgetting, with the retrained model as the target.

        A panel a combination of dataset, model and scenario; a point a method, with the standard
        deviation over seeds as error bars. The dashed lines cross at the retrained model: the
        closer to it, the better.

        Args:
            utility: Metric and cut-off of the vertical axis.
            forgetting: Metric and cut-off of the horizontal axis.
            mark: Share of the requests that was served, in quarters (1 to 4).

        Returns:
            A figure: ``savefig`` writes it, a notebook shows it.

        Raises:
            SettingsError: One of the metrics was not measured.
        """
        from erase_ray.api._plot import draw

        x, y = self.rows(*forgetting, mark), self.rows(*utility, mark)
        return draw(x, y, _axis(x, *forgetting), _axis(y, *utility))

    @property
    def _own(self) -> list[CellInfo]:
        return [cell for cell in self.cells if is_measured(cell.settings)]

    def _measured(self, table: str, imported: pd.DataFrame) -> pd.DataFrame:
        ours = self.store.gather([cell.key for cell in self._own], table).assign(source=OURS)
        frames = [frame for frame in (ours, imported) if len(frame)]
        return typed(pd.concat(frames, ignore_index=True) if frames else ours, COLUMNS)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        more = f", {len(self.imported)} imported numbers" if len(self.imported) else ""
        return f"Results({len(self)} cells of {self.store.uri}{failed}{more})"

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(repr(self))}</p>"]
        for metric, k in (("recall", 20), ("sensitive_share", 20)):
            if metric in self.frame["metric"].tolist():
                table = self.pivot(metric, k)
                parts.append(f"<p>{metric}@{k}</p>{table.to_html(float_format='{:.4f}'.format)}")
        parts += [f"<p>failed: {escape(one['label'])}: {escape(one['error'])}</p>"
                  for one in self.failures]  # fmt: skip
        return "\n".join(parts)


def load_results(uri: str, *, run: str = "", only: str = "", source: Source = "all") -> Results:
    """The finished cells of a store, while a run goes on or long after.

    Args:
        uri: Folder or any address that fsspec knows, such as ``s3://bucket/path``.
        run: Name of a run; its plan says which cells are meant. All of the store without one.
        only: ``key=value,...`` keeps what matches, ``|`` between several values; keys: dataset,
            model, method, scenario, category, fraction, seed, task, mark, audit.
        source: ``erase_ray`` for what was computed here, ``erase`` for imported rows of the
            published implementation, ``all`` for both. A run has no imported rows.

    Raises:
        StoreError: There is no such store or run, or it is damaged.
        SettingsError: ``only`` has an unknown key or leaves nothing, or the source is unknown.
    """
    if source not in ("all", OURS, IMPORTED):
        raise SettingsError(f"no source '{source}'.{known_names(source, ['all', OURS, IMPORTED])}")
    store = Store(uri, read_only=True)
    imported = _none_imported() if run or source == OURS else _chosen(_imported(store), only)
    cells: list[CellInfo] = []
    if source != IMPORTED:
        cells = stored_cells(store, run, only, strict=not len(imported))
    return Results(store, cells, imported)


def results_of(store: Store, keys: Iterable[str], failures: Sequence[Any]) -> Results:
    """Those of ``keys`` that are finished."""
    done = store.done_cells()
    wanted = [key for key in dict.fromkeys(keys) if key in done]
    cells = [CellInfo(key, store.settings(key), store.manifest(key)) for key in wanted]
    return Results(store, cells, _none_imported(), failures)


def _imported(store: Store) -> pd.DataFrame:
    """Rows that ``erase-ray import`` made."""
    return typed(imported_results(store), COLUMNS)


def _none_imported() -> pd.DataFrame:
    return typed(pd.DataFrame(columns=list(COLUMNS)), COLUMNS)


def _chosen(frame: pd.DataFrame, only: str) -> pd.DataFrame:
    for text in filter(None, (piece.strip() for piece in only.split(","))):
        key, _, values = text.partition("=")
        if key not in FIELDS:
            continue  # stored_cells says so
        if key not in frame:
            return frame.head(0)
        frame = pick(frame, frame[key].astype("string").isin(values.split("|")))
    return frame


def _axis(rows: pd.DataFrame, metric: str, k: int) -> str:
    better = next(iter(rows["better"].dropna()), "")
    told = {"up": " (higher is better)", "down": " (lower is better)"}
    return f"{metric}@{k}{told.get(str(better), '')}"


def _about(cell: CellInfo) -> dict[str, Any]:
    return {name: FIELDS[name](cell) for name in _ABOUT}


def _ordered(methods: Iterable[Any]) -> list[str]:
    names = sorted(map(str, methods))
    first = [name for name in (ORIGINAL, RETRAIN) if name in names]
    return first + [name for name in names if name not in first]
