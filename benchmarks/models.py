"""Speed of the models here and in RecBole: same machine, same run, same examples.

    python benchmarks/models.py --recbole PYTHON
    python benchmarks/models.py --recbole PYTHON --sessions FILE.parquet --max-steps 100
    python benchmarks/models.py --floor

PYTHON is the interpreter of an environment made from recbole_requirements.txt. By default the data
are MovieLens 100k and its sessions, which are downloaded. For each model the two sides take turns,
epoch by epoch and evaluation by evaluation, after one turn that does not count; what is printed
are medians. A turn of short epochs or evaluations repeats them for half a second.

RecBole gets our training examples and test queries as files of a split that is given, and our
settings. Its evaluation runs twice: in batches of the size that the reference uses, and in those
of the best of some sizes. Its windows are as wide as the longest of the data, at most 50. Without
``--recbole`` only our side runs. ``--clock cpu`` divides by processor seconds of the process, which
depend less on what else the machine does (but with more threads than there are processors to have
they count waiting as well).
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _speed_floor
import torch
from _speed_ours import Data, Ours, sessions, stored
from _speed_recbole import EVAL_BATCH, RecBole, candidates

CF = ("bpr", "lightgcn", "sgl")
SESSION = ("gru4rec", "narm", "sasrec", "srgnn")
CLOCKS = ("wall", "cpu")
TURN_S = 0.5
"""Calls that are shorter are repeated for this long."""
COLUMNS = ("train", "recbole", "ratio", "queries", "recbole", "ratio", "at best", "ratio")


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    found = []
    shown = (arguments.threads, arguments.device, arguments.clock, arguments.rounds)
    print("threads {}, device {}, {} clock, medians of {}".format(*shown))
    print("samples/s of an epoch, queries/s of an evaluation; ratio: ours to RecBole's")
    print(f"{'model':<10}{'data':<36}" + "".join(f"{column:>10}" for column in COLUMNS))
    for name in arguments.models:
        found.append(compared(arguments, name))
        print(_row(found[-1]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.floor:
        _speed_floor.report(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=[*CF, *SESSION], choices=[*CF, *SESSION])
    parser.add_argument("--recbole", help="interpreter of RecBole's environment")
    parser.add_argument("--storage", default="runs", help="store of the prepared datasets")
    parser.add_argument("--sessions", type=Path, help="real sessions, for the session models")
    parser.add_argument("--max-sessions", type=int, default=0, help="of them, at random; 0: all")
    parser.add_argument("--max-steps", type=int, default=0, help="of an epoch; 0: all")
    parser.add_argument("--max-queries", type=int, default=0, help="of an evaluation; 0: all")
    parser.add_argument("--rounds", type=int, default=3, help="that count, after one that does not")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--clock", default="wall", choices=CLOCKS, help="cpu: where others compute")
    parser.add_argument("--floor", action="store_true", help="count the operations of a step")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def compared(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """All figures of one model."""
    data = _data(arguments, name)
    ours = Ours(name, data, arguments.device, arguments.max_steps, arguments.max_queries)
    with ExitStack() as stack:
        calls: dict[str, Callable[[], dict[str, Any]]] = {"train": ours.train}
        facts = {}
        if arguments.recbole:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            theirs = RecBole(arguments.recbole, ours, folder, arguments.threads)
            stack.enter_context(theirs)
            facts, best = theirs.facts, _best_batch(theirs, ours, arguments.clock)
            usual = EVAL_BATCH[data.task]
            calls |= {"recbole_train": theirs.train, "evaluate": ours.evaluate}
            calls |= {"recbole_evaluate": lambda: theirs.evaluate(usual)}
            calls |= {"recbole_evaluate_best": lambda: theirs.evaluate(best)}
            facts["best_batch"] = best
        rounds = _rounds(calls | {"evaluate": ours.evaluate}, arguments.rounds)
    summary = _summary(ours, rounds, arguments.clock)
    return summary | {"recbole": facts, "threads": arguments.threads, "load": os.getloadavg()[0]}


def _data(arguments: argparse.Namespace, name: str) -> Data:
    if name in CF:
        return stored("movielens_100k", arguments.storage)
    if arguments.sessions:
        return sessions(arguments.sessions, arguments.max_sessions)
    return stored("movielens_100k_sessions", arguments.storage)


def _best_batch(theirs: RecBole, ours: Ours, clock: str) -> int:
    theirs.evaluate(EVAL_BATCH[ours.data.task])
    seconds = {size: theirs.evaluate(size)[clock] for size in candidates(ours)}
    return min(seconds, key=lambda size: seconds[size])


def _rounds(
    calls: dict[str, Callable[[], dict[str, Any]]], num: int
) -> dict[str, list[dict[str, Any]]]:
    """The answers of each call, which take turns; the first turn is left out."""
    turns = [{what: _turn(call) for what, call in calls.items()} for _ in range(num + 1)]
    return {what: [turn[what] for turn in turns[1:]] for what in calls}


def _turn(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of a call; of short ones the median, after a first to warm up."""
    first = call()
    if first["wall"] >= TURN_S:
        return first
    answers, spent = [], 0.0
    while spent < TURN_S:
        answers.append(call())
        spent += answers[-1]["wall"]
    return sorted(answers, key=lambda answer: answer["wall"])[len(answers) // 2]


def _summary(ours: Ours, rounds: dict[str, list[dict[str, Any]]], clock: str) -> dict[str, Any]:
    medians = {
        each: {what: statistics.median(a[each] for a in rounds[what]) for what in rounds}
        for each in CLOCKS
    }
    counts = {"samples": len(ours.examples), "queries": len(ours.queries)}
    rates = {
        what: counts["samples" if what.endswith("train") else "queries"] / value
        for what, value in medians[clock].items()
    }
    return {
        "model": ours.model.name,
        "data": ours.data.name,
        "device": str(ours.device),
        **counts,
        "items": ours.model.shape.num_items,
        "steps": -(-counts["samples"] // ours.settings.batch_size),
        "clock": clock,
        "per_second": rates,
        "seconds": {w: {c: [a[c] for a in rounds[w]] for c in CLOCKS} for w in rounds},
        "metrics": {w: rounds[w][-1].get("metrics") for w in rounds if "evaluate" in w},
        "losses": {w: [a["loss"] for a in rounds[w]] for w in rounds if "train" in w},
        "floor": _speed_floor.of(ours, medians[clock]["train"], clock),
    }


def _row(one: dict[str, Any]) -> str:
    rates = one["per_second"]
    cells = [rates["train"], *_against(rates, "train", "recbole_train"), rates["evaluate"]]
    for theirs in ("recbole_evaluate", "recbole_evaluate_best"):
        cells += _against(rates, "evaluate", theirs)
    label = f"{one['data']}, {one['steps']} steps"
    return f"{one['model']:<10}{label:<36}" + "".join(_cell(cell) for cell in cells)


def _against(rates: dict[str, float], ours: str, theirs: str) -> list[float]:
    return [rates[theirs], rates[ours] / rates[theirs]] if theirs in rates else [0, 0]


def _cell(value: float) -> str:
    return f"{'-':>10}" if not value else f"{value:>10.2f}" if value < 100 else f"{value:>10.0f}"


if __name__ == "__main__":
    main()
