"""The charts of a panel, each with the table it is drawn from."""

import math
from collections.abc import Sequence

import pandas as pd

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.bars import PHASE_TITLES, PHASES, Bar, BarChart
from erase_ray.report.blocks import Figure
from erase_ray.report.lines import X_LABELS, Line, LineChart, Style
from erase_ray.report.measured import Measured
from erase_ray.report.numbers import significant
from erase_ray.report.panels import REFERENCES, RETRAIN, Panel, Series
from erase_ray.report.picking import pick
from erase_ray.report.sheets import Entry, Sheet, missing, stat_entry, words
from erase_ray.report.xy import Curve, CurveChart

NUM_COLOURS = 8

_REFERENCE_STYLES = {
    ORIGINAL: Style("ref-original", "2 4", 0, 2.5),
    RETRAIN: Style("ref-retrain", "9 4", 0, 2.5),
}
_CHARTS = (
    ("recall", 20, "Recall@20", "Utility: Recall@20 on the fixed test rows, higher is better"),
    ("ndcg", 20, "NDCG@20", "Utility: NDCG@20 on the fixed test rows, higher is better"),
    (
        "sensitive_share",
        10,
        "Sensitive item in top 10",
        "Forgetting: requesters with a sensitive item in their top 10, in percent",
    ),
    (
        "sensitive_share",
        20,
        "Sensitive item in top 20",
        "Forgetting: requesters with a sensitive item in their top 20, in percent",
    ),
)


def styles_of(panels: Sequence[Panel]) -> dict[str, Style]:
    """A look for each series, the same in all panels; colour and shape both tell them apart."""
    names = sorted({s.name for p in panels for s in p.series if s.method not in REFERENCES})
    found = {
        name: Style(f"s{place % NUM_COLOURS}", None, place) for place, name in enumerate(names)
    }
    for series in (series for panel in panels for series in panel.series):
        if series.method in REFERENCES:
            found[series.name] = _REFERENCE_STYLES[series.method]
    return found


def figures_of(panel: Panel, styles: dict[str, Style]) -> list[Figure]:
    """Utility, forgetting and seconds; charts without any number are left out."""
    measured = Measured(panel)
    drawn = [_over_marks(measured, styles, place) for place in range(len(_CHARTS))]
    return [figure for figure in [*drawn, _seconds(measured)] if figure.svg]


_CURVES = (
    (
        "step_norm",
        "Size of a step",
        "How far each request moved the weights (L2 norm); median over seeds",
        "step",
    ),
    (
        "cumulative_seconds",
        "Seconds so far",
        "Seconds of all requests up to each, data and algorithm; median over seeds",
        "seconds",
    ),
)


def curves_of(panel: Panel, styles: dict[str, Style], by_request: pd.DataFrame) -> list[Figure]:
    """What single requests did and cost; charts without any number are left out."""
    own = pick(by_request, by_request["combination"] == panel.title)
    drawn = [_over_requests(panel, styles, own, place) for place in range(len(_CURVES))]
    return [figure for figure in drawn if figure.svg]


def _over_requests(panel: Panel, styles: dict[str, Style], own: pd.DataFrame, place: int) -> Figure:
    column, title, caption, unit = _CURVES[place]
    curves, rows = [], []
    for name, points in own.groupby("method", sort=True):
        xs, ys = points["request"].tolist(), points[column].astype(float).tolist()
        curves.append(Curve(str(name), styles[str(name)], xs, ys))
        known = points[column].astype(float).dropna()
        quantiles = known.quantile([0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
        entries = [Entry(significant(q), q) if math.isfinite(q) else missing() for q in quantiles]
        rows.append([words(str(name)), Entry(str(xs[-1]), xs[-1]), *entries])
    chart = CurveChart(f"{panel.id}-{column}", f"{title}, {panel.title}", unit, curves)
    head = ["Method", "requests", "least", "25 %", "median", "75 %", "most"]
    sheet = Sheet(f"{title}, {panel.title}", head, rows)
    return Figure(title, caption, chart.draw(), sheet, source="by_request")


def _over_marks(measured: Measured, styles: dict[str, Style], place: int) -> Figure:
    metric, k, title, caption = _CHARTS[place]
    panel, is_share = measured.panel, metric == "sensitive_share"
    stats = {series.name: measured.over_marks(series.name, metric, k) for series in panel.series}
    lines = [Line(name, styles[name], stats[name]) for name in stats]
    chart = LineChart(
        f"{panel.id}-{metric}-{k}",
        f"{title} over the requests served, {panel.title}",
        lines,
        is_share,
    )
    rows = [[words(name), *(stat_entry(stat, is_share) for stat in stats[name])] for name in stats]
    sheet = Sheet(f"{title}, {panel.title}", ["Method", *X_LABELS], rows)
    return Figure(title, caption, chart.draw(), sheet, source="by_mark")


def _seconds(measured: Measured) -> Figure:
    panel = measured.panel
    served = [s for s in panel.series if measured.request(s.name) is not None]
    bars = [_bar(measured, series) for series in served]
    chart = BarChart(
        f"{panel.id}-seconds",
        f"Seconds a request by phase, {panel.title}",
        [bar for bar in bars if all(map(math.isfinite, (*bar.phases, bar.request)))],
    )
    head = ["Method", *PHASE_TITLES, "request", "median", "95th percentile", "99th", "requests"]
    rows = [_seconds_row(measured, series) for series in served]
    sheet = Sheet(f"Mean seconds a request, {panel.title}", head, rows)
    return Figure(
        "Seconds a request",
        "By phase, lower is better; the number is data and algorithm together",
        chart.draw(),
        sheet,
        _training_remark(measured),
        source="costs",
    )


def _bar(measured: Measured, series: Series) -> Bar:
    stats = [measured.stat(series.name, phase) for phase in PHASES]
    phases = tuple(stat.mean if stat else 0.0 for stat in stats)
    return Bar(series.name, phases, measured.request(series.name) or 0.0)


def _seconds_row(measured: Measured, series: Series) -> list[Entry]:
    quantiles = [f"seconds_request_p{percent}" for percent in (50, 95, 99)]
    names = [*PHASES, "seconds_request", *quantiles]
    stats = [measured.stat(series.name, name) for name in names]
    entries = [Entry(significant(s.mean), s.mean) if s else missing() for s in stats]
    tables = [cell.tables["requests"] for cell in series.cells if cell.done]
    count = sum(len(table) for table in tables)
    return [words(series.name), *entries, Entry(str(count), count)]


def _training_remark(measured: Measured) -> str:
    texts = []
    for series in measured.panel.series:
        seconds = measured.training(series.name)
        if seconds is not None and series.method in REFERENCES:
            name = "original model" if series.method == ORIGINAL else "one retraining"
            texts.append(f"{name} {significant(seconds)} s")
    return f"For comparison, training: {', '.join(texts)}." if texts else ""
