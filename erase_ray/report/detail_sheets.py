"""The tables of the page about groups, costs, audits, failures and cells."""

from collections.abc import Sequence

import pandas as pd

from erase_ray.report.entries import cut, filter_keys, is_known, number, plain_text, signed
from erase_ray.report.lines import X_LABELS
from erase_ray.report.measured import MARKS
from erase_ray.report.numbers import plain, short_key, significant, utc
from erase_ray.report.panels import RETRAIN
from erase_ray.report.picking import pick, records
from erase_ray.report.sheets import Entry, Sheet, missing, words

COST_COLUMNS = {
    "seconds_data": "data s",
    "seconds_algorithm": "algorithm s",
    "seconds_save": "saving s",
    "seconds_request_p50": "request s, median",
    "seconds_request_p95": "95 %",
    "seconds_request_p99": "99 %",
    "seconds_train": "training s",
    "gpu_seconds": "GPU s",
    "cpu_seconds": "CPU s",
    "peak_memory_mb": "peak memory MB",
    "peak_gpu_memory_mb": "peak GPU MB",
    "energy_j": "energy J",
}


def groups_sheet(groups: pd.DataFrame, names: Sequence[str]) -> Sheet:
    """NDCG@20 by group of test queries."""
    own = pick(groups, (groups["metric"] == "ndcg") & (groups["k"] == 20))
    keys = ["combination", "method"]
    by_place = {(row["combination"], row["method"], row["group"]): row for row in records(own)}
    series = own.drop_duplicates(keys)
    rows = [
        [words(row[keys[0]]), words(row[keys[1]])]
        + [_group(by_place.get((row[keys[0]], row[keys[1]], name))) for name in names]
        for row in records(series)
    ]
    head = ["Dataset\u00a0\u00d7\u00a0model", "Method", *names]
    return Sheet("NDCG@20 by group, after all requests", head, rows, 2, filter_keys(series))


def _group(row: dict | None) -> Entry:
    if row is None or not is_known(row["mean"]):
        return missing()
    remark = ""
    if row["method"] != RETRAIN and is_known(row["difference"]):
        remark = signed(row["difference"], 4)
    return Entry(plain(row["mean"]), row["mean"], remark)


def costs_sheet(costs: pd.DataFrame) -> Sheet:
    """What requests and trainings cost, one row a series."""
    there = set(costs["metric"])
    known = [name for name in COST_COLUMNS if name in there]
    by_place = {
        (row["combination"], row["method"], row["metric"]): row["mean"] for row in records(costs)
    }
    series = costs.drop_duplicates(["combination", "method"])
    rows = [
        [words(row["combination"]), words(row["method"])]
        + [
            number(by_place.get((row["combination"], row["method"], name)), significant)
            for name in known
        ]
        for row in records(series)
    ]
    head = ["Dataset\u00a0\u00d7\u00a0model", "Method", *(COST_COLUMNS[name] for name in known)]
    return Sheet("Costs, means over seeds", head, rows, 2, filter_keys(series))


def audits_sheet(audits: pd.DataFrame) -> Sheet:
    """What audits found at the last mark, with intervals where there are some."""
    last = pick(audits, audits["mark"] == audits["mark"].max())
    names = last["metric"].astype(str)
    ends = {
        (row["combination"], row["method"], row["metric"], row["k"]): row["mean"]
        for row in records(last)
    }
    shown = pick(last, ~names.str.endswith(("_low", "_high", ".n_in", ".n_out")))
    rows = []
    for row in records(shown):
        place = (row["combination"], row["method"])
        low, high = (
            ends.get((*place, f"{row['metric']}_{end}", row["k"])) for end in ("low", "high")
        )
        remark = f"[{low:.3f}, {high:.3f}]" if is_known(low) and is_known(high) else ""
        value = row["mean"]
        entry = Entry(significant(value), value, remark) if is_known(value) else missing()
        about = f"{row['metric']}@{row['k']}" if row["k"] else row["metric"]
        rows.append([words(place[0]), words(str(about)), words(place[1]), entry])
    head = ["Dataset\u00a0\u00d7\u00a0model", "What", "Model", "Value"]
    return Sheet("Audits, after all requests", head, rows, 3, filter_keys(shown))


def failures_sheet(failures: pd.DataFrame) -> Sheet:
    """What failed, with the last error."""
    rows = [
        [
            words(row["label"]),
            words(plain_text(row["kind"])),
            words(cut(_first_line(plain_text(row["error"])), 300)),
            number(row["attempts"], lambda value: str(int(value))),
            words(plain_text(row["where"]) or "\u2013"),
        ]
        for row in records(failures)
    ]
    return Sheet("What failed", ["Cell", "Kind", "Error", "Tries", "Where"], rows)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def missing_sheet(cells: pd.DataFrame) -> Sheet:
    """Cells without numbers."""
    left = pick(cells, cells["state"] != "done")
    rows = [
        [words(plain_text(row[name])) for name in ("label", "state", "scenario", "error")]
        for row in records(left)
    ]
    return Sheet(
        "Cells without numbers", ["Cell", "State", "Scenario", "Why"], rows, keys=filter_keys(left)
    )


def cells_sheet(cells: pd.DataFrame) -> Sheet:
    """Where every number comes from, and how to get it again."""
    done = pick(cells, cells["state"] == "done")
    rows = [
        [
            Entry(plain_text(row["label"]), plain_text(row["label"]), "", False, _again(row)),
            words(
                " ".join(filter(None, [plain_text(row["scenario"]), plain_text(row["category"])]))
            ),
            words(short_key(row["key"])),
            words(utc(plain_text(row["committed"]))),
            words(plain_text(row["device"])),
            words(short_key(plain_text(row["test_hash"]))),
            words(short_key(plain_text(row["split_hash"]))),
        ]
        for row in records(done)
    ]
    head = ["Cell", "Scenario", "Key", "Committed", "Device", "Test rows", "Split"]
    return Sheet("Finished cells", head, rows, keys=filter_keys(done))


def _again(row: dict) -> str:
    """Key, versions, and what to type to run a cell again."""
    lines = [f"key: {row['key']}", f"versions: {plain_text(row['versions'])}"]
    if grid := plain_text(row["grid"]):
        lines += ["", command_of(grid)]
    return "\n".join(lines)


def command_of(grid: str) -> str:
    """What to type to run the cell of a grid in one line."""
    return (
        f"cat > cell.yaml <<'END'\n{grid}\nEND\n"
        "python jobs/one_cell.py --grid cell.yaml --storage ./again"
    )


def drift_sheet(audits: pd.DataFrame) -> Sheet:
    """How far models have moved from the original at each mark, over how far retraining moves."""
    own = pick(audits, audits["metric"] == "similarity.drift")
    by_place = {
        (row["combination"], row["method"], row["mark"]): row["mean"] for row in records(own)
    }
    series = own.drop_duplicates(["combination", "method"])
    rows = [
        [words(row["combination"]), words(row["method"])]
        + [
            number(by_place.get((row["combination"], row["method"], mark)), significant)
            for mark in MARKS
        ]
        for row in records(series)
    ]
    head = ["Dataset\u00a0\u00d7\u00a0model", "Method", *X_LABELS]
    caption = (
        "Drift: distance of the weights to the original model's, over that of the retrained model"
    )
    return Sheet(caption, head, rows, 2, filter_keys(series))


def findings_sheet(findings: pd.DataFrame) -> Sheet:
    """The numbers behind the answers."""
    head = ["What", "Estimate", "Combinations", "Remark"]
    return Sheet("The numbers behind the answers", head, list(map(_finding, records(findings))))


def _finding(row: dict) -> list[Entry]:
    value, ends = row["estimate"], ""
    if is_known(row["low"]):
        ends = f"[{signed(row['low'], 2)}, {signed(row['high'], 2)}]"
    entry = missing()
    if is_known(value):
        entry = Entry(f"{signed(value, 2)} {row['unit']}", value, ends)
    families = (plain_text(row[name]) for name in ("method_family", "model_family"))
    about = ", ".join(filter(None, families))
    return [
        Entry(f"({row['question']}) {row['what']}", row["question"], about, False),
        entry,
        number(row["num_combinations"], lambda count: str(int(count))),
        words(plain_text(row["reason"])),
    ]
