"""The sections of the page, in order."""

from dataclasses import replace

import pandas as pd

from erase_ray.report.blocks import Block, Charts, Code, Links, Pairs, Part, Section, Table, Words
from erase_ray.report.board_sheets import board_sheet, coverage_sheet, ranking_sheet
from erase_ray.report.detail_sheets import (
    audits_sheet,
    cells_sheet,
    command_of,
    costs_sheet,
    drift_sheet,
    failures_sheet,
    findings_sheet,
    groups_sheet,
    missing_sheet,
)
from erase_ray.report.evidence import GROUPS, Evidence
from erase_ray.report.figures import curves_of, figures_of, styles_of
from erase_ray.report.findings import QUESTIONS
from erase_ray.report.glossary import glossary
from erase_ray.report.lines import Style
from erase_ray.report.panels import Panel, flat, slug
from erase_ray.report.picking import pick, records
from erase_ray.report.read import distinct
from erase_ray.report.sheets import Sheet, first_reasons, outcome_sheet
from erase_ray.report.tradeoffs import heat_maps, rank_figures, rank_remarks, tradeoffs

MOST_PANELS, MOST_SCATTERS, MOST_TRACES = 24, 16, 10
"""Combinations whose charts, charts of trade-offs, and tracebacks that the page shows."""


def sections(evidence: Evidence, command: str) -> list[Section]:
    """All sections; those without numbers say so."""
    styles = styles_of(evidence.panels)
    return [
        _findings(evidence),
        _leaderboards(evidence),
        _tradeoffs(evidence, styles),
        _curves(evidence, styles),
        _maps(evidence),
        _groups(evidence),
        _costs(evidence),
        _audits(evidence),
        _failures(evidence),
        _provenance(evidence, command),
        Section(
            "glossary",
            "Glossary",
            "What the words of this page mean. They are used the same way throughout.",
            [Pairs(glossary(evidence.options))],
        ),
    ]


def _tasks(evidence: Evidence) -> list[str]:
    return sorted(evidence.frames["leaderboard"]["task"].astype(object).fillna("").unique())


def _findings(evidence: Evidence) -> Section:
    found, options = evidence.findings, evidence.options
    pairs = [(_asked(answer.question, answer.verdict), answer.text) for answer in found.answers]
    return Section(
        "findings",
        "Findings",
        "The three questions of the benchmark, answered from the numbers below. "
        "Where there are too few data for an answer, it is unknown, with the reason.",
        [
            Pairs(pairs, "findings"),
            Words(
                [
                    f"{evidence.basis} Equal means: within {100 * options.margin:g} % of the "
                    f"retrained model's utility, or {100 * options.forgetting_margin:g} percentage "
                    "points of the requesters. Answers to (b) and (c) rest on whole combinations "
                    "of dataset, model and scenario."
                ]
            ),
            Part(
                "behind",
                "The numbers behind the answers",
                [Table(findings_sheet(found.frame), "findings", is_sortable=False)],
                is_folded=True,
            ),
        ],
    )


def _asked(question: str, verdict: str) -> str:
    return f"({question}) {QUESTIONS[question]} {verdict[0].upper()}{verdict[1:]}."


def _leaderboards(evidence: Evidence) -> Section:
    board = evidence.frames["leaderboard"]
    blocks: list[Block] = []
    for task in _tasks(evidence):
        rows = pick(board, board["task"] == task)
        inner: list[Block] = [Table(board_sheet(rows, task), "leaderboard", is_filtered=True)]
        if figures := rank_figures(evidence.rankings, task):
            inner.append(Charts(figures))
        if remarks := rank_remarks(evidence.rankings, task):
            inner.append(Words(remarks))
        inner += [
            Part(
                f"pairs-{place}-{slug(task)}",
                f"All pairs by {one.score}",
                [Table(ranking_sheet(one), "ranks")],
                is_folded=True,
            )
            for place, one in enumerate(r for r in evidence.rankings if r.task == task)
        ]
        blocks.append(Part(f"task-{slug(task)}", f"Task: {task or 'unknown'}", inner))
    variants = sorted({(s.name, s.variant) for p in evidence.panels for s in p.series if s.variant})
    if variants:
        texts = [f"{name}: {text}" for name, text in variants]
        blocks.append(Words(texts, "Several settings of one method", is_list=True))
    return Section(
        "leaderboard",
        "Leaderboard",
        "One row a method and combination of dataset, model and scenario, after all requests. "
        "Compare each row with the retrained model's: a verdict says whether the two are the same "
        "to within the margin, and brackets hold the interval of the difference.",
        blocks or [_nothing()],
    )


def _nothing() -> Words:
    return Words(["Nothing is stored for this section."])


def _tradeoffs(evidence: Evidence, styles: dict[str, Style]) -> Section:
    figures = tradeoffs(evidence.frames["leaderboard"], styles)
    shown = figures[:MOST_SCATTERS]
    blocks: list[Block] = [Charts(shown, is_wide=True)] if shown else [_nothing()]
    if len(figures) > len(shown):
        left = len(figures) - len(shown)
        blocks.append(Words([f"{left} more charts are left out; their numbers are in the tables."]))
    return Section(
        "tradeoffs",
        "Trade-offs",
        "Each point is a method on a model; colours tell methods apart, shapes models. "
        "Dashed lines mark the retrained model, so a good method lies where they cross, or is much "
        "faster at the same height.",
        blocks,
    )


def _curves(evidence: Evidence, styles: dict[str, Style]) -> Section:
    shown = evidence.panels[:MOST_PANELS]
    blocks: list[Block] = []
    if len(shown) > 1:
        links = [(panel.id, panel.title) for panel in shown]
        blocks.append(Links("Results by dataset and model", links))
    blocks += [_panel(panel, styles, evidence.frames["by_request"]) for panel in shown]
    if len(evidence.panels) > len(shown):
        left = len(evidence.panels) - len(shown)
        blocks.append(
            Words([f"{left} more combinations are left out here; their numbers are in the tables."])
        )
    return Section(
        "curves",
        "While requests are served",
        "How utility, forgetting and costs develop from the first request to the last. "
        "Dotted is the original model, dashed the retrained one; bands are 95 % intervals over "
        "three or more seeds, thin lines the standard deviation over two.",
        blocks or [_nothing()],
    )


def _panel(panel: Panel, styles: dict[str, Style], by_request: pd.DataFrame) -> Part:
    figures = [*figures_of(panel, styles), *curves_of(panel, styles, by_request)]
    blocks: list[Block] = [Words([_about(panel)])]
    blocks.append(Charts(figures) if figures else _nothing())
    outcomes = outcome_sheet(panel)
    if outcomes.rows:
        blocks.append(Table(outcomes, is_sortable=False, title="What became of the requests"))
        reasons = [f"{name}: {text}" for name, text in first_reasons(panel)]
        blocks += [Words(reasons, is_list=True)] if reasons else []
    blocks.append(Part(f"{panel.id}-settings", "Settings", [Pairs(_settings(panel))], True))
    return Part(panel.id, panel.title, blocks)


def _about(panel: Panel) -> str:
    measured = [cell for cell in panel.cells if cell.done]
    facts = [("Task", panel.task), ("scenario", panel.scenario)]
    for title, fact in (
        ("requests", "num_requests"),
        ("test queries", "num_test_queries"),
        ("requesters probed", "num_probe_queries"),
    ):
        counts = distinct(measured, lambda cell, fact=fact: cell.facts.get(fact))
        facts.append((title, ", ".join(counts)))
    return "; ".join(f"{name}: {value}" for name, value in facts if value) + "."


def _settings(panel: Panel) -> list[tuple[str, str]]:
    """Every setting behind a panel as pairs of a heading and one line."""
    parts = [(name, part) for name, part in panel.settings.items() if part]
    parts += [
        (series.name, series.cells[0].settings["method"]) for series in panel.series if series.cells
    ]
    return [(name, _one_line(part)) for name, part in parts]


def _one_line(part: dict) -> str:
    pairs = (
        (key.removeprefix("settings.").removeprefix("settings"), value)
        for key, value in sorted(flat(part).items())
        if key != "name"
    )
    texts = [f"{key} = {value}" for key, value in pairs if key]
    return ", ".join(texts) or "no settings"


def _maps(evidence: Evidence) -> Section:
    figures = [
        f for task in _tasks(evidence) for f in heat_maps(evidence.frames["leaderboard"], task)
    ]
    return Section(
        "maps",
        "Models and methods at a glance",
        "Each field is the difference of a method to retraining, after all requests. "
        "The sign before it is the verdict, and colour only repeats what number and sign say.",
        [Charts(figures, is_wide=True)] if figures else [_nothing()],
    )


def _groups(evidence: Evidence) -> Section:
    groups = evidence.frames["groups"]
    there = set(groups["group"])
    known = [name for name in GROUPS if name in there]
    return _tabled(
        "groups",
        "Who is served how well",
        "Utility on parts of the test queries: people who asked (their remaining interests) and "
        "others, active and inactive ones, popular items and the rest. Below each number stands "
        "its difference to the retrained model.",
        groups_sheet(groups, known),
        "groups",
    )


def _costs(evidence: Evidence) -> Section:
    section = _tabled(
        "costs",
        "What it costs",
        "Seconds of a request by phase with the median, the 95th and the 99th percentile, and what "
        "else was measured. Lower is better; seconds of different devices cannot be compared.",
        costs_sheet(evidence.frames["costs"]),
        "costs",
    )
    drift = drift_sheet(evidence.frames["audits"])
    if not drift.rows:
        return section
    return replace(section, blocks=[*section.blocks, Table(drift, "audits", is_filtered=True)])


def _audits(evidence: Evidence) -> Section:
    return _tabled(
        "audits",
        "Audits",
        "Whether a model still knows what it should have forgotten, and how much it is like the "
        "retrained one. Compare a method with the original (nothing forgotten) and the retrained "
        "model (never seen); brackets hold intervals.",
        audits_sheet(evidence.frames["audits"]),
        "audits",
    )


def _tabled(name: str, title: str, lead: str, sheet: Sheet, source: str) -> Section:
    block = Table(sheet, source, is_filtered=True) if sheet.rows else _nothing()
    return Section(name, title, lead, [block])


def _failures(evidence: Evidence) -> Section:
    failures, cells = evidence.frames["failures"], evidence.frames["cells"]
    blocks: list[Block] = []
    if len(failures):
        blocks.append(Table(failures_sheet(failures), "failures"))
        if told := _traces(failures):
            blocks.append(Part("traces", "Tracebacks", [Pairs(told, "failures")], True))
    missing = missing_sheet(cells)
    if missing.rows:
        blocks.append(
            Part(
                "missing",
                f"{len(missing.rows)} cells without numbers",
                [Table(missing, "cells")],
                True,
            )
        )
    if not blocks:
        blocks = [Words(["None: every cell has its results."])]
    return Section(
        "failures",
        "Failures and missing cells",
        "What was given up, with the last error and how often it was tried; then all cells that "
        "have no numbers. Missing numbers are shown as \u2013 and never filled in.",
        blocks,
    )


def _traces(failures: pd.DataFrame) -> list[tuple[str, str]]:
    """Each different traceback with the cells that it ended."""
    ended: dict[str, list[str]] = {}
    for row in records(failures):
        if isinstance(row["trace"], str) and row["trace"]:
            ended.setdefault(row["trace"], []).append(row["label"])
    return [
        (labels[0] + (f" and {len(labels) - 1} more" if len(labels) > 1 else ""), trace)
        for trace, labels in list(ended.items())[:MOST_TRACES]
    ]


def _provenance(evidence: Evidence, command: str) -> Section:
    cells = evidence.frames["cells"]
    sheet = cells_sheet(cells)
    blocks: list[Block] = []
    if command:
        blocks += [Words(["This report was made, or its cells were run, by:"]), Code(command)]
    done = pick(cells, (cells["state"] == "done") & (cells["grid"].fillna("") != ""))
    if len(done):
        example = records(done.head(1))[0]
        blocks += [
            Words(
                [
                    "To run one cell again elsewhere, write its grid (column grid of the table of "
                    f"cells) to a file. For {example['label']}:"
                ]
            ),
            Code(command_of(example["grid"])),
        ]
    if sheet.rows:
        title = f"{len(sheet.rows)} finished cells"
        blocks.append(Part("cells", title, [Table(sheet, "cells", is_filtered=True)], True))
    return Section(
        "provenance",
        "Where the numbers come from",
        "Every number was read from the store, and each row of the tables names its cells. "
        "A cell's key is a hash of all that can change its result; the hash of the test rows says "
        "which questions the models were asked.",
        blocks or [_nothing()],
    )


def coverage(evidence: Evidence) -> Sheet:
    """What is there, by method and task."""
    return coverage_sheet(evidence.frames["coverage"])
