"""The tables of the page, made from the frames of the report."""

import math

import pandas as pd

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.entries import cut, filter_keys, is_known, number, signed
from erase_ray.report.heat import GLYPHS
from erase_ray.report.numbers import TIMES, percent, plain, significant
from erase_ray.report.panels import RETRAIN
from erase_ray.report.picking import records
from erase_ray.report.sheets import Entry, Sheet, missing, words


def board_sheet(rows: pd.DataFrame, task: str) -> Sheet:
    """The leaderboard of a task."""
    head = [
        "Dataset\u00a0\u00d7\u00a0model",
        "Method",
        "NDCG@20",
        "Kept",
        "Utility verdict",
        "Still shown @20",
        "Forgetting verdict",
        "Gap closed",
        "Alike (RBO)",
        "Privacy AUC",
        "Speed-up",
        "Seconds\u00a0a request",
        "Requests applied",
    ]
    return Sheet(
        f"Leaderboard, {task}, after all requests",
        head,
        [_board_row(record) for record in records(rows)],
        num_heads=2,
        keys=filter_keys(rows),
    )


def _board_row(row: dict) -> list[Entry]:
    is_reference = row["method"] in (ORIGINAL, RETRAIN)
    name = Entry(row["method"], row["method"], _name_remark(row), is_number=False)
    return [
        words(row["combination"]),
        name,
        number(row["utility"], plain),
        _kept(row),
        _verdict(row, "utility", is_reference),
        _shown(row),
        _verdict(row, "forgetting", is_reference),
        _closed(row, is_reference),
        number(row["similarity_rbo"], lambda value: f"{value:.2f}"),
        _privacy(row),
        number(row["speedup"], lambda value: f"{significant(value, 2)}\u00a0{TIMES}"),
        _seconds(row),
        _applied(row),
    ]


def _name_remark(row: dict) -> str:
    return "cells missing" if row["is_partial"] else ""


def _kept(row: dict) -> Entry:
    if not is_known(row["utility_kept"]):
        return missing()
    remark = ""
    if is_known(row["utility_low"]) and is_known(row["utility_retrained"]):
        scale = 100 / row["utility_retrained"] if row["utility_retrained"] else math.nan
        low, high = row["utility_low"] * scale, row["utility_high"] * scale
        remark = f"[{signed(low)}, {signed(high)}]" if math.isfinite(low) else ""
    return Entry(f"{percent(row['utility_kept'])}\u00a0%", row["utility_kept"], remark)


def _verdict(row: dict, name: str, is_reference: bool) -> Entry:
    if is_reference:
        return Entry("", "", is_number=False)
    found = row[f"{name}_verdict"]
    verdict = "unknown" if found is None or found is pd.NA else str(found)
    short = verdict.removesuffix(" to retraining")
    reason = row[f"{name}_reason"]
    told = "" if reason is None or reason is pd.NA or verdict != "unknown" else str(reason)
    brief = cut(told.partition(",")[0])  # all of it is in the table of the file
    return Entry(f"{GLYPHS[verdict]} {short}", short, brief, is_number=False)


def _shown(row: dict) -> Entry:
    if not is_known(row["shown"]):
        return missing()
    parts = []
    if row["method"] != RETRAIN and is_known(row["forgetting_difference"]):
        points = signed(100 * row["forgetting_difference"])
        parts.append(f"{points} points to retrained")
        if is_known(row["forgetting_low"]):
            low, high = (100 * row[f"forgetting_{end}"] for end in ("low", "high"))
            parts[-1] += f" [{signed(low)}, {signed(high)}]"
    if is_known(row["shown_by_chance"]):
        parts.append(f"by chance {percent(row['shown_by_chance'])} %")
    return Entry(f"{percent(row['shown'])}\u00a0%", row["shown"], "; ".join(parts))


def _closed(row: dict, is_reference: bool) -> Entry:
    if is_reference:
        return Entry("", "")
    if not is_known(row["closed_gap"]):
        reason = row["closed_reason"]
        told = "no gap to close" if isinstance(reason, str) and "no gap" in reason else ""
        return Entry("\u2013", "", told)
    remark = ""
    if is_known(row["closed_low"]):
        remark = f"[{percent(row['closed_low'])}, {percent(row['closed_high'])}]"
    return Entry(f"{percent(row['closed_gap'])}\u00a0%", row["closed_gap"], remark)


def _privacy(row: dict) -> Entry:
    if not is_known(row["privacy_auc"]):
        return Entry("not audited", "", is_number=True)
    remark = f"{row['privacy_audit']}"
    if is_known(row["privacy_auc_low"]):
        remark += f" [{row['privacy_auc_low']:.2f}, {row['privacy_auc_high']:.2f}]"
    return Entry(f"{row['privacy_auc']:.3f}", row["privacy_auc"], remark)


def _seconds(row: dict) -> Entry:
    if is_known(row["seconds_request"]):
        return Entry(significant(row["seconds_request"]), row["seconds_request"])
    if is_known(row["seconds_training"]):
        return Entry("", "", f"a training {significant(row['seconds_training'])}")
    return missing()


def _applied(row: dict) -> Entry:
    if not is_known(row["requests"]):
        return Entry("", "")
    applied, total = int(row["applied"]), int(row["requests"])
    return Entry(f"{applied} of {total}", applied / total if total else 0.0)


def coverage_sheet(coverage: pd.DataFrame) -> Sheet:
    """Methods × tasks: cells that are done, and remarks about the others."""
    tasks = sorted(coverage["task"].unique())
    by_place = {(row["method"], row["task"]): row for row in records(coverage)}
    methods = sorted(coverage["method"].unique(), key=_reference_first)
    rows = [
        [words(method), *(_covered(by_place.get((method, task))) for task in tasks)]
        for method in methods
    ]
    return Sheet("Cells that are done, by method and task", ["Method", *tasks], rows)


def _reference_first(name: str) -> tuple[bool, bool, str]:
    """References first, then methods, then audits."""
    return "+" in name, name not in (ORIGINAL, RETRAIN), name


def _covered(row: dict | None) -> Entry:
    if row is None:
        return missing()
    total = row["done"] + row["missing"] + row["failed"]
    remarks = [f"{row[state]} {state}" for state in ("missing", "failed") if row[state]]
    return Entry(f"{row['done']} of {total}", row["done"] / total, ", ".join(remarks))


def ranking_sheet(ranking) -> Sheet:
    """Pairs of methods of a ranking with their tests."""
    rows = [
        [
            words(f"{pair['method_a']} \u2013 {pair['method_b']}"),
            number(pair["difference"], lambda value: signed(value, 4)),
            number(pair["p_value"], lambda value: f"{value:.3f}"),
            number(pair["p_holm"], lambda value: f"{value:.3f}"),
            words("yes" if pair["significant"] else "no"),
        ]
        for pair in records(ranking.pairs)
    ]
    head = ["Pair, better rank first", "Mean difference", "p (Wilcoxon)", "p (Holm)", "Significant"]
    return Sheet(f"Pairs of methods by {ranking.score}, {ranking.task}", head, rows)


def rank_sheet(ranking) -> Sheet:
    """Mean ranks of a ranking."""
    ranks = ranking.result.mean_ranks
    rows = [[words(str(name)), Entry(f"{rank:.2f}", float(rank))] for name, rank in ranks.items()]
    return Sheet(f"Mean ranks by {ranking.score}, {ranking.task}", ["Method", "Mean rank"], rows)
