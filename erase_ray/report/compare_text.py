"""A comparison as text of 100 columns, and as plain values for machines."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from erase_ray.report.compare import Comparison, Twin
from erase_ray.report.compare_numbers import Change, Number
from erase_ray.report.compare_pairs import Experiment, Paired
from erase_ray.report.data_text import table
from erase_ray.report.numbers import DASH, MISSING, TIMES, significant
from erase_ray.scenarios._base import NUM_MARKS

WIDTH = 100
MOST = 12
"""Lines of a list; the rest is counted."""
_HEAD = ("metric", "k", "mark", "A", "B", f"B {DASH} A")
_COSTS = ("seconds", "seconds_train", "seconds_request", "peak_memory_mb", "energy_j")


def compare_json(found: Comparison) -> str:
    """Everything as one JSON object; numbers that are none are null."""
    value = {"equal": found.is_equal} | asdict(found)
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def compare_lines(found: Comparison) -> list[str]:
    """What is the same and what differs, for people; the verdict is the last line."""
    lines = [f"A: {found.a}", f"B: {found.b}", ""]
    lines += _twins(found)
    if found.experiments:
        lines += ["", _count(len(found.experiments), "experiment") + " under other keys"]
    for experiment in found.experiments:
        lines += _experiment(experiment)
    for name, labels in (("A", found.only_a), ("B", found.only_b)):
        if labels:
            lines += ["", f"only in {name}: {_count(len(labels), 'cell')}"]
            lines += _capped([f"  {label}" for label in labels])
    within = f" within {found.tolerance:g}" if found.tolerance else ""
    lines += ["", f"equal{within}" if found.is_equal else f"different{within and f', not{within}'}"]
    return [_fit(line) for line in lines]


def _twins(found: Comparison) -> list[str]:
    twins = found.twins
    identical = sum(twin.identical for twin in twins)
    lines = [
        f"{_count(len(twins), 'cell')} in both, "
        f"{identical} with results that are the same to the last byte"
    ]
    seconds = [twin.seconds for twin in twins if not any(map(math.isnan, twin.seconds))]
    if seconds:
        a, b = (sum(side) for side in zip(*seconds, strict=True))
        lines.append(f"seconds of these: A {significant(a)}, B {significant(b)}{_times(a, b)}")
    for twin in twins:
        if twin.numbers or twin.queries or twin.weights:
            lines += ["", *_twin(twin)]
    return lines


def _twin(twin: Twin) -> list[str]:
    told = [f"{len(twin.numbers)} of {twin.compared} numbers differ"] if twin.numbers else []
    if twin.queries:
        told.append(f"{twin.queries} numbers are about other queries")
    if twin.weights:
        told.append(f"weights differ at mark {', '.join(twin.weights)}")
    rows = [_number(number) for number in twin.numbers]
    changed = _changes(twin.around)
    return [f"{twin.label} ({twin.key[:12]})", f"  {'; '.join(told)}", *changed, *_table(rows)]


def _number(number: Number) -> list[str]:
    values = [_value(number.a), _value(number.b), _signed(number.difference)]
    return [number.metric, str(number.k), str(number.mark), *values]


def _experiment(found: Experiment) -> list[str]:
    seeds = f"{'seeds' if len(found.seeds) > 1 else 'seed'} {', '.join(map(str, found.seeds))}"
    lines = ["", f"{found.label}, {seeds}"]
    lines += _changes(found.settings) or ["  the same settings; another version or format"]
    lines += _changes(found.around)
    if found.queries:
        lines.append(f"  {found.queries} numbers are about other queries")
    other = [number for number in found.numbers if not number.is_same]
    last = [number for number in other if number.mark == NUM_MARKS] or other
    if other:
        count = f"{len(other)} of {len(found.numbers)} numbers differ"
        where = "" if len(last) == len(other) else f"; those at mark {NUM_MARKS}:"
        lines += [f"  {count}{where}", *_table([_paired(number) for number in last])]
    elif found.numbers:
        lines.append(f"  all {len(found.numbers)} numbers are the same")
    costs = [cost for cost in found.costs if cost.name in _COSTS]
    return lines + [
        f"  {cost.name}: A {significant(cost.a)} {cost.unit}, B {significant(cost.b)} {cost.unit}"
        f"{_times(cost.a, cost.b)}"
        for cost in costs
    ]


def _paired(number: Paired) -> list[str]:
    texts = [number.metric, str(number.k), str(number.mark), _value(number.a), _value(number.b)]
    interval = number.difference
    if interval is None:
        return [*texts, _signed(number.change), ""]
    ends = [_signed(interval.low), _signed(interval.high)]
    return [*texts, _signed(interval.estimate), f"[{', '.join(ends)}]"]


def _table(rows: Sequence[list[str]]) -> list[str]:
    if not rows:
        return []
    width = max(map(len, rows))
    head = [*_HEAD, "95 % interval"] if width > len(_HEAD) else _HEAD
    if not any(row[-1] for row in rows):
        rows, head = [row[: len(_HEAD)] for row in rows], _HEAD
    first, *lines = table(rows, head)
    return [f"  {line}" for line in [first, *_capped(lines)]]


def _changes(changed: Iterable[Change]) -> list[str]:
    return _capped([f"  {one.name}: {_text(one.a)} -> {_text(one.b)}" for one in changed])


def _text(value: Any) -> str:
    return MISSING if value is None else str(value)


def _capped(lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], f"  and {len(lines) - MOST + 1} more (--json lists all)"]


def _value(value: float | None) -> str:
    return MISSING if value is None else f"{value:.6g}"


def _signed(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:+.3g}"


def _times(a: float, b: float) -> str:
    return f" ({significant(b / a)}{TIMES})" if a else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _fit(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
