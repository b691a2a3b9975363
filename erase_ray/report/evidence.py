"""Everything a report says, as typed frames that are made once from the store."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from erase_ray.report.by_mark import by_mark, identity_frame, is_cost
from erase_ray.report.cell_frames import cells_frame, coverage_frame, failures_frame
from erase_ray.report.choose import choose
from erase_ray.report.curves import request_curves
from erase_ray.report.findings import Findings, find
from erase_ray.report.leaderboard import leaderboard
from erase_ray.report.measured import LAST
from erase_ray.report.options import Options
from erase_ray.report.panels import Panel, make_panels
from erase_ray.report.people import People, answer_bytes
from erase_ray.report.picking import pick
from erase_ray.report.ranks import Ranking, rankings, ranks_frame
from erase_ray.report.read import CellInfo, read_cells
from erase_ray.report.rows import PLACE, audit_rows, measured_rows, request_rows
from erase_ray.report.run_files import Failure, RunFiles
from erase_ray.report.verdicts import Comparison, SeedValues, compare

logger = logging.getLogger(__name__)

GROUPS = ("requesters", "others", "active", "inactive", "popular", "tail")
"""Groups of test queries that metrics are reported for."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The frames of a report.

    Args:
        options: How methods were judged.
        cells: Everything that was read.
        panels: The cells, grouped.
        frames: By name: ``leaderboard``, ``by_mark``, ``by_request``, ``groups``, ``costs``,
            ``audits``, ``ranks``, ``findings``, ``coverage``, ``failures`` and ``cells``.
        findings: The three questions of the benchmark.
        rankings: Mean ranks by task.
        runs: The runs that were looked at.
        basis: What intervals rest on, as a sentence.
    """

    options: Options
    cells: Sequence[CellInfo]
    panels: Sequence[Panel]
    frames: Mapping[str, pd.DataFrame]
    findings: Findings
    rankings: Sequence[Ranking]
    runs: RunFiles = field(default_factory=RunFiles)
    basis: str = ""


def gather(
    store: Any,
    keys: Iterable[str],
    options: Options,
    *,
    runs: RunFiles | None = None,
    planned: Mapping[str, dict[str, Any]] | None = None,
    failures: Sequence[Failure] = (),
    only: str = "",
) -> Evidence:
    """Read the cells and make the frames.

    Args:
        store: Read only.
        keys: Of the cells to report on.
        options: How methods are judged.
        runs: Plans and failures, where runs were looked at.
        planned: Settings of cells by key, to name those that are not done.
        failures: What failed besides what ``runs`` knows.
        only: ``key=value,...``; keeps the cells that match.
    """
    known = runs or RunFiles()
    cells = choose(read_cells(store, keys, planned, known.labels), only)
    panels, failed = make_panels(cells), [*known.failures, *failures]
    rows = measured_rows(panels)
    identity = identity_frame(panels)
    means, audits = by_mark(rows, identity), _found(by_mark(audit_rows(panels), identity))
    people, basis = _people(store, panels, options)
    compared = {p.id: _compare(p, rows, people, options) for p in panels}
    board = leaderboard(panels, identity, means, audits, compared)
    done = {cell.key for cell in cells if cell.done}
    given_up = [name for one in failed for name in (one.key, one.label)]
    table = cells_frame(cells, given_up, known.blocked)
    ranked = rankings(board, options.alpha)
    found = find(board, _seed_rows(rows, identity), options)
    frames = {
        "leaderboard": board,
        "by_mark": means.drop(columns=PLACE),
        "by_request": request_curves(request_rows(panels), identity),
        "groups": _groups(means),
        "costs": pick(means, (means["mark"] == LAST) & is_cost(means)).drop(columns=PLACE),
        "audits": audits.drop(columns=PLACE),
        "ranks": ranks_frame(ranked),
        "findings": found.frame,
        "coverage": coverage_frame(table),
        "failures": failures_frame(failed, cells, done),
        "cells": table,
    }
    frames = {name: frame.reset_index(drop=True) for name, frame in frames.items()}
    return Evidence(options, cells, panels, frames, found, ranked, known, basis)


def _people(store: Any, panels: Sequence[Panel], options: Options) -> tuple[People | None, str]:
    if not options.intervals:
        return None, "Intervals and verdicts were left out, as was asked for."
    size = answer_bytes(panels)
    if size > options.most_bytes:
        return None, (
            f"The stored answers take {size / 1e9:.1f} GB, more than the "
            f"{options.most_bytes / 1e9:.1f} GB that were to be read: intervals rest on seeds "
            "alone (Student's t), and the closed share of the gap has none."
        )
    return People(store), (
        f"Intervals cover {100 * options.level:g} %: a bootstrap over people and over seeds "
        f"({options.resamples} resamples)."
    )


def _compare(
    panel: Panel, rows: pd.DataFrame, people: People | None, options: Options
) -> dict[str, Comparison]:
    logger.info("%s is compared", panel.title)
    own = rows[(rows["panel"] == panel.id) & (rows["mark"] == LAST)]
    by_seed: SeedValues = {}
    columns = [own[name].tolist() for name in ("series", "metric", "k", "seed", "value")]
    for series, metric, k, seed, value in zip(*columns, strict=True):
        by_seed.setdefault((series, metric, k), {})[seed] = value
    return compare(panel, by_seed, people.pairs(panel) if people else None, options)


def _seed_rows(rows: pd.DataFrame, identity: pd.DataFrame) -> pd.DataFrame:
    kept = rows[["panel", "series", "seed", "mark", "metric", "k", "value"]]
    return kept.merge(identity, on=PLACE, how="inner")


def _found(audits: pd.DataFrame) -> pd.DataFrame:
    """What audits found, without what they cost: names of findings begin with the audit's."""
    return pick(audits, ["." in str(metric) for metric in audits["metric"].tolist()])


def _groups(means: pd.DataFrame) -> pd.DataFrame:
    """The last mark of metrics that are told by group, with the group in a column of its own."""
    parts = [str(metric).rpartition(".") for metric in means["metric"].tolist()]
    named = means.assign(metric=[part[0] for part in parts], group=[part[2] for part in parts])
    is_group = named["group"].isin(GROUPS) & (named["metric"] != "") & (named["mark"] == LAST)
    return pick(named, is_group).drop(columns=PLACE)
