"""Charts over methods and models: trade-offs, maps of differences, and mean ranks."""

import math
from collections.abc import Sequence

import pandas as pd

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.blocks import Figure
from erase_ray.report.board_sheets import rank_sheet
from erase_ray.report.cd_diagram import CriticalDifferenceDiagram
from erase_ray.report.entries import is_known
from erase_ray.report.heat import Field, HeatMap
from erase_ray.report.lines import Style
from erase_ray.report.numbers import DASH, percent, significant
from erase_ray.report.panels import REFERENCES, RETRAIN, slug
from erase_ray.report.picking import groups, pick, records
from erase_ray.report.ranks import Ranking
from erase_ray.report.scatter import Point, Scatter
from erase_ray.report.sheets import Entry, Sheet, missing, words

GROUP = ["task", "dataset", "scenario", "category", "fraction"]
MOST_ROWS = 40
"""Rows of a map that can be read."""


def tradeoffs(board: pd.DataFrame, styles: dict[str, Style]) -> list[Figure]:
    """For each dataset and scenario: utility against forgetting, and against speed-up."""
    figures = []
    for name, rows in groups(board, GROUP):
        about = _about(name)
        figures += [
            _forgetting(slug(f"tradeoff {about}"), about, rows, styles),
            _speedup(slug(f"tradeoff {about}"), about, rows, styles),
        ]
    return [figure for figure in figures if figure.svg]


def _about(name: tuple) -> str:
    task, dataset, scenario, category, fraction = name
    share = f" {fraction:g}" if is_known(fraction) else ""
    return f"{dataset} ({task}), {scenario}{f': {category}' if category else ''}{share}"


def _forgetting(name: str, about: str, rows: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """By the closed gap where there is one, else by the distance from the retrained model."""
    has_gap = bool(rows["closed_gap"].notna().any())
    if has_gap:
        column, title, at = "closed_gap", "share of the gap to retraining that is closed, %", 100.0
    else:
        column, at = "forgetting_difference", 0.0
        title = "requesters who still see a sensitive item, points above the retrained model"
    points = _points(rows, styles, "utility_kept", column, not has_gap)
    chart = Scatter(
        f"{name}-forgetting",
        f"Utility kept against forgetting, {about}",
        ("NDCG@20 in % of the retrained model's", title),
        points,
        (100.0, at),
    )
    left_out = pick(rows, rows[column].isna() & ~rows["method"].isin(list(REFERENCES)))
    remark = "" if has_gap else "No gap between original and retrained model to close was found. "
    if len(left_out):
        remark += f"Not drawn, as there is no value: {_names(left_out)}."
    return Figure(
        about,
        "Dashed lines mark the retrained model: the closer to where they cross, the better",
        chart.draw(),
        _sheet(f"Utility and forgetting, {about}", rows, column),
        remark.strip(),
        "leaderboard",
    )


def _speedup(name: str, about: str, rows: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    points = _points(rows, styles, "speedup", "utility_kept", False)
    if all(not math.isfinite(point.x) for point in points):
        points = []
    chart = Scatter(
        f"{name}-speedup",
        f"Utility kept against speed-up, {about}",
        (
            "speed-up of a request over a retraining, log scale",
            "NDCG@20 in % of the retrained model's",
        ),
        points,
        (1.0, 100.0),
        is_log=True,
    )
    return Figure(
        f"{about}: speed-up",
        "Further right is faster; the dashed lines mark a retraining and its utility",
        chart.draw(),
        _sheet(f"Utility and speed-up, {about}", rows, "speedup"),
        source="leaderboard",
    )


def _points(
    rows: pd.DataFrame, styles: dict[str, Style], x: str, y: str, with_original: bool
) -> list[Point]:
    models = sorted(rows["model"].unique())
    left_out = [RETRAIN] if with_original else [RETRAIN, ORIGINAL]
    points = []
    for row in records(pick(rows, ~rows["method"].isin(left_out))):
        style = styles[row["method"]]
        shape = Style(style.css, None, models.index(row["model"]))
        label = row["method"] if len(models) == 1 else f"{row['method']} \u00b7 {row['model']}"
        points.append(Point(label, shape, _scaled(row, x), _scaled(row, y)))
    return points


def _scaled(row: dict, column: str) -> float:
    value = row[column]
    if not is_known(value):
        return math.nan
    return float(value) if column == "speedup" else 100 * float(value)


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(f"{row['method']} \u00b7 {row['model']}" for row in records(rows))


def _sheet(caption: str, rows: pd.DataFrame, column: str) -> Sheet:
    head = ["Method", "Model", "Utility kept", column.replace("_", " ")]
    entries = []
    for row in records(rows):
        values = [row["utility_kept"], row[column]]
        texts = [
            (significant(v) if column == "speedup" and place else f"{percent(v)} %")
            if is_known(v)
            else DASH
            for place, v in enumerate(values)
        ]
        numbers = [
            Entry(text, float(value)) if is_known(value) else missing()
            for text, value in zip(texts, values, strict=True)
        ]
        entries.append([words(row["method"]), words(row["model"]), *numbers])
    return Sheet(caption, head, entries, 2)


def heat_maps(board: pd.DataFrame, task: str) -> list[Figure]:
    """Two maps of a task: difference in utility, and in forgetting, to retraining."""
    rows = pick(board, (board["task"] == task) & ~board["method"].isin(list(REFERENCES)))
    found = []
    for kind, title, unit in (
        ("utility", "Utility above or below retraining", "% of the retrained NDCG@20"),
        (
            "forgetting",
            "Requesters still shown sensitive items, above or below retraining",
            "percentage points",
        ),
    ):
        found.append(_heat_map(rows, task, kind, f"{title}, {task}", unit))
    return [figure for figure in found if figure.svg]


def _heat_map(rows: pd.DataFrame, task: str, kind: str, title: str, unit: str) -> Figure:
    methods = sorted(rows["method"].unique())
    names = list(dict.fromkeys(rows["combination"]))
    by_place = {(row["combination"], row["method"]): row for row in records(rows)}
    fields = {
        name: [_heat_field(by_place.get((name, method)), kind) for method in methods]
        for name in names
    }
    chart = HeatMap(f"heat-{kind}-{task}", title, methods, list(fields.items())[:MOST_ROWS])
    sheet_rows = [
        [words(name), *(_heat_entry(field) for field in row)] for name, row in fields.items()
    ]
    sheet = Sheet(title, ["Dataset\u00a0\u00d7\u00a0model", *methods], sheet_rows)
    caption = (
        f"{unit[0].upper()}{unit[1:]}; \u2248 equivalent, \u25b2 better, \u25bc worse, ? unknown; "
        "the stronger the colour, the further from retraining (blue better, orange worse)"
    )
    hidden = len(names) - MOST_ROWS
    remark = f"{hidden} more rows are in the table." if hidden > 0 else ""
    return Figure(title, caption, chart.draw(), sheet, remark, "leaderboard")


def _heat_field(row: dict | None, kind: str) -> Field:
    if row is None:
        return Field(math.nan)
    verdict = str(row[f"{kind}_verdict"]) if isinstance(row[f"{kind}_verdict"], str) else ""
    if kind == "utility":
        value = 100 * (row["utility_kept"] - 1) if is_known(row["utility_kept"]) else math.nan
        return Field(value, verdict, value)
    known = row["forgetting_difference"]
    value = 100 * known if is_known(known) else math.nan
    return Field(value, verdict, -value)


def _heat_entry(field: Field) -> Entry:
    if not math.isfinite(field.value):
        return missing()
    return Entry(f"{field.value:+.1f}", field.value, field.verdict)


def rank_figures(rankings: Sequence[Ranking], task: str) -> list[Figure]:
    """The critical-difference diagrams of a task."""
    found = []
    for number, ranking in enumerate(r for r in rankings if r.task == task):
        if ranking.result.friedman.reason:
            continue
        title = f"Mean ranks by {ranking.score}"
        diagram = CriticalDifferenceDiagram(
            f"ranks-{number}-{task}", f"{title}, {task}", ranking.result
        )
        caption = "Best at the left; methods under one bar do not differ significantly (Nemenyi)"
        found.append(
            Figure(
                title,
                caption,
                diagram.draw(),
                rank_sheet(ranking),
                _rank_remark(ranking),
                source="ranks",
            )
        )
    return [figure for figure in found if figure.svg]


def rank_remarks(rankings: Sequence[Ranking], task: str) -> list[str]:
    """Why methods of a task are not ranked."""
    return [
        f"No mean ranks by {ranking.score}: {_rank_remark(ranking)}"
        for ranking in rankings
        if ranking.task == task and ranking.result.friedman.reason
    ]


def _rank_remark(ranking: Ranking) -> str:
    test = ranking.result.friedman
    many = "combination counts" if test.num_blocks == 1 else "combinations count"
    blocks = f"{test.num_blocks} {many}"
    dropped = f"; left out, as a method lacks a number: {', '.join(ranking.dropped)}"
    told = test.reason or f"Friedman's test p = {test.p_value:.3g}"
    return f"{blocks}{dropped if ranking.dropped else ''}. {told[0].upper()}{told[1:]}."
