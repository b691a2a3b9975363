"""What a thousand requests in a row do to a model, on real data.

    python benchmarks/chains.py --data FOLDER --out chains.json --plot docs/figures/chains.png

FOLDER holds tafeng_baskets.parquet and diginetica_sessions.parquet (columns as in quality_data.py).
A thousand people ask, one after the other, for a fifth of their training rows to be forgotten. The
table shows Recall@20 (in percent) on the test queries of people who never ask, after every tenth of
the chain, and the hit rate of the forgotten items in the top 20 of those who asked so far: of the
model that forgot, and of one retrained without the rows. Figures are added to ``--out`` as they are
made, and those that it has are not made again.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _study import READERS, Study, make, recall, requests, retained, serve, start

from erase_ray.evaluation import rank
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, Model
from erase_ray.scenarios import RequestSpec

MODEL_NAMES = ("bpr", "gru4rec", "sets2sets")
TENTHS = 10


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    known = {(one["model"], one["method"]) for one in found}
    for name in arguments.models:
        data = READERS[MODELS.get(name).task](arguments.data)
        study = Study.of(name, data, arguments.cache)
        for method in ["retrain", *arguments.methods]:
            if (name, method) in known:
                continue
            made = retrained(study, arguments.num) if method == "retrain" else None
            found.append(made or chained(study, method, arguments.num))
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")
            print(_row(found[-1]), flush=True)
    print("\n".join(["", *map(_row, found)]))
    if arguments.plot:
        plot(found, arguments.plot)


def _arguments() -> argparse.Namespace:
    known = [
        name
        for name in METHODS.names()
        if not METHODS.get(name).per_mark and METHODS.get(name).serves_learning
    ]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--models", nargs="+", default=MODEL_NAMES)
    parser.add_argument("--methods", nargs="+", default=known)
    parser.add_argument("--num", type=int, default=1000, help="requests")
    parser.add_argument("--out", type=Path, default=Path("chains.json"))
    parser.add_argument("--cache", type=Path, default=Path("runs/studies"), help="trained models")
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def chained(study: Study, method_name: str, num: int) -> dict[str, Any]:
    """Serve the chain; recall and hits of forgotten items after each tenth of it."""
    world, specs = study.world(), requests(study.data, num)
    method = make(method_name)
    model, state = start(study, method, world)
    queries = retained(study.data, specs, world.cut)
    recalls, hits = [recall(model, queries)], [_hits(study, model, specs)]
    seconds, outcomes = [], {}
    for number, served in enumerate(serve(method, model, world, specs, state), 1):
        status = served.outcome.status
        outcomes[status] = outcomes.get(status, 0) + 1
        seconds.append(served.seconds)
        if number * TENTHS % num < TENTHS:
            recalls.append(recall(model, queries))
            hits.append(_hits(study, model, specs[:number]))
    return _found(study, method_name, recalls, hits) | {
        "seconds": statistics.median(seconds),
        "outcomes": outcomes,
    }


def retrained(study: Study, num: int) -> dict[str, Any]:
    """The base model, and one trained without all that the chain forgets."""
    specs = requests(study.data, num)
    queries = retained(study.data, specs, study.world().cut)
    gone = np.concatenate([spec.rows for spec in specs])
    base, fresh = study.base(), study.fresh()
    study.train(fresh, study.data.interactions.without(gone))
    recalls = [recall(model, queries) for model in (base, fresh)]
    hits = [_hits(study, model, specs) for model in (base, fresh)]
    return _found(study, "retrain", recalls, hits) | {"seconds": study.seconds, "outcomes": {}}


def _found(study: Study, method: str, recalls: list[float], hits: list[float]) -> dict[str, Any]:
    """Of a collapsed model numbers that are not finite do not come: nothing is ranked."""
    return {
        "model": study.name,
        "data": study.data.title,
        "method": method,
        "recall": recalls,
        "hits": hits,
    }


def _hits(study: Study, model: Model, specs: list[RequestSpec], k: int = 20) -> float:
    """Share (%) of the forgotten items that their owners would be shown, with cleaned histories.

    Items that a person still has otherwise are left out.
    """
    table, data = study.data.interactions, study.data
    gone = np.concatenate([spec.rows for spec in specs])
    users = np.unique(np.concatenate([spec.users for spec in specs]))
    left = table.without(gone)
    queries = data.task.probe(left, data.split, users, study.world().cut)
    ranked = rank(model, queries, k)
    place = {int(user): number for number, user in enumerate(queries.users)}
    shown = total = 0
    for spec in specs:
        at = np.searchsorted(table.row, spec.rows)
        kept = left.item[left.user == spec.users[0]]
        items = np.setdiff1d(table.item[at], kept)
        if int(spec.users[0]) in place:
            shown += len(np.intersect1d(items, ranked[place[int(spec.users[0])]]))
            total += len(items)
    return 100 * shown / max(total, 1)


def _row(one: dict[str, Any]) -> str:
    values = " ".join(f"{value:5.2f}" for value in one["recall"])
    hits = f"{one['hits'][0]:5.2f} -> {one['hits'][-1]:5.2f}"
    label = f"{one['model']:<10}{one['method']:<16}"
    return f"{label}{values}   hits {hits}   {one['seconds']:8.4f} s  {one['outcomes']}"


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Recall over the chain, a panel a model."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(one["model"] for one in found))
    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        own = [one for one in found if one["model"] == name]
        for number, one in enumerate(own):
            values = one["recall"]
            if one["method"] == "retrain":
                axis.axhline(values[-1], color="black", linestyle=":", label="retrained at the end")
                continue
            places = np.linspace(0, 1, len(values))
            axis.plot(
                100 * places,
                values,
                marker=".",
                color=f"C{number % 10}",
                label=one["method"],
                linestyle="--" if number >= 10 else "-",
            )
        axis.set_title(f"{name}, {own[0]['data']}")
        axis.set_xlabel("% of the chain served")
        values = [value for one in own for value in one["recall"]]
        start = own[0]["recall"][0]
        axis.set_ylim(min(0.9 * start, *values), max(1.1 * start, *values))
    axes[0].set_ylabel("Recall@20 of people who never ask, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
