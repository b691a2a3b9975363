"""What each defect of the published protocol, and of the published methods, does on real data.

    python benchmarks/conformance.py --storage runs/conformance
    python benchmarks/conformance.py --baskets tafeng_baskets.parquet --markdown conformance.md

MovieLens 100k is fetched, as films of a person and as sessions; the baskets are a Parquet file
with the columns user_id, basket and item_id, without which the rows of next-basket data are left
out. Every tenth item id of it is a category, as the file has none. Each defect runs alone, then all
together, against the corrected protocol on the same requests; then the reference edition of each
method against the corrected one, under the corrected protocol. Cells that are in the storage are
not run again.
"""

import argparse
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from erase_ray.experiment.cell import Cell
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.methods import METHODS
from erase_ray.reference.defects import ALL, DEFECTS

RECALL, SHOWN = ("recall", 20), ("sensitive_share", 20)
UTILITY, BOTH = (RECALL,), (RECALL, SHOWN)
ORIGINAL, RETRAINED, FORGETTING = "original", "retrain", "gradient_ascent"
EVERYONE = (ORIGINAL, RETRAINED, FORGETTING)
LAST = 4


@dataclass(frozen=True)
class Setup:
    """A model on data, with a scenario.

    Args:
        data: Name of the dataset.
        model: Name of the model.
        scenario: Name of the scenario.
        requests: Its settings.
        training: Settings of the training.
        settings: Settings of the model.
    """

    data: str
    model: str
    scenario: str
    requests: dict[str, Any]
    training: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{TITLES[self.data]}, {self.model}, {self.scenario}"


TITLES = {
    "movielens_100k": "MovieLens 100k",
    "movielens_100k_sessions": "MovieLens sessions",
    "table": "Ta-Feng",
}
VIOLENCE = {"category": "violence", "fraction": 0.001, "stop_rule": "reach"}
TENTH = {"category": "tenth", "fraction": 0.003, "stop_rule": "reach", "min_steps_left": 4}
SPAM = {"ratio": 0.01}
FILMS = Setup(
    "movielens_100k",
    "bpr",
    "sensitive",
    VIOLENCE,
    {"epochs": 40, "batch_size": 2048, "learning_rate": 3e-3, "patience": 5},
)
SIXTY = replace(FILMS, requests=VIOLENCE | {"fraction": 0.00103})
"""60 requests with seed 2: the marks are others only where four divides n, 2n or 3n."""
GRAPH = Setup(
    "movielens_100k",
    "lightgcn",
    "sensitive",
    VIOLENCE,
    {"epochs": 10, "batch_size": 2048, "learning_rate": 5e-3},
)
SESSIONS = Setup(
    "movielens_100k_sessions",
    "gru4rec",
    "sensitive",
    VIOLENCE,
    {"epochs": 3, "batch_size": 512, "learning_rate": 3e-3},
    {"embedding_size": 32, "hidden_size": 32, "max_length": 15},
)
SESSION_SPAM = Setup(
    SESSIONS.data, SESSIONS.model, "spam", SPAM, SESSIONS.training, SESSIONS.settings
)
BASKETS = Setup(
    "table",
    "sets2sets",
    "sensitive",
    TENTH,
    {"epochs": 5, "batch_size": 16, "learning_rate": 3e-3},
    {"item_weights": "none"},
)
BASKET_GRAPHS = Setup("table", "dnntsp", "sensitive", TENTH, {"epochs": 20, "batch_size": 32})
BASKET_SPAM = Setup("table", "sets2sets", "spam", SPAM, BASKETS.training, BASKETS.settings)


@dataclass(frozen=True)
class Row:
    """What is compared for a defect: one line for each method and metric."""

    defect: str
    setup: Setup
    methods: tuple[str, ...]
    metrics: tuple[tuple[str, int], ...]
    mark: int = LAST


ROWS = (
    Row("marks", SIXTY, (FORGETTING,), BOTH, mark=1),
    Row("resplit", FILMS, EVERYONE, UTILITY),
    Row("resplit", SESSIONS, EVERYONE, UTILITY),
    Row("resplit", BASKETS, (RETRAINED,), UTILITY),
    Row("split_fakes", SESSION_SPAM, (ORIGINAL,), BOTH),
    Row("leaking_graph", GRAPH, (FORGETTING,), BOTH),
    Row("stale_embeddings", GRAPH, (FORGETTING,), (SHOWN,), mark=1),
    Row("uncleaned_probes", SESSIONS, EVERYONE, (SHOWN,)),
    Row("uncleaned_probes", BASKETS, EVERYONE, (SHOWN,)),
    Row("last_row_probes", SESSIONS, EVERYONE, (SHOWN,)),
    Row("unmasked_probes", FILMS, EVERYONE, (SHOWN,)),
    Row("original_on_everybody", FILMS, (ORIGINAL,), (SHOWN,)),
    Row("uncleaned_baskets", BASKETS, (FORGETTING,), UTILITY),
    Row("spam_not_removed", BASKET_SPAM, (RETRAINED,), BOTH),
    Row("recoded_lengths", BASKETS, (ORIGINAL,), UTILITY),
    Row("recoded_lengths", BASKET_GRAPHS, (ORIGINAL,), UTILITY),
    Row("first_items", BASKETS, (ORIGINAL,), UTILITY),
    Row("first_items", BASKET_GRAPHS, (ORIGINAL,), UTILITY),
    Row("rounding", FILMS, (ORIGINAL,), UTILITY),
    Row("tied_early_stopping", FILMS, (ORIGINAL,), UTILITY),
    *(Row(ALL, setup, EVERYONE, BOTH) for setup in (FILMS, GRAPH, SESSIONS, BASKETS)),
)
FEW = replace(FILMS, requests=VIOLENCE | {"fraction": 0.0004})
METHOD_SETUPS = (FEW,)


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    storage: str
    baskets: Path | None
    seeds: list[int]


def main() -> None:
    """Run what is missing, and write the tables."""
    options, markdown, only = _arguments()
    rows = [row for row in ROWS if not only or row.defect in only]
    rows = [row for row in rows if options.baskets or row.setup.data != "table"]
    compared = [line for row in rows for line in _of_defect(row, options)]
    texts = [_table("defect", compared)]
    if not only or "methods" in only:
        texts.append(_table("method", list(_of_methods(options))))
    text = "\n\n".join(texts) + "\n"
    print(text)
    if markdown:
        markdown.write_text(text)


def _arguments() -> tuple[Options, Path | None, list[str]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage", default="runs/conformance", help="where cells are kept")
    parser.add_argument("--baskets", type=Path, help="Parquet file of the next-basket data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    names = [*DEFECTS, ALL, "methods"]
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="defects to show")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    return Options(given.storage, given.baskets, given.seeds), given.markdown, given.only


def _of_defect(row: Row, options: Options) -> Iterator[dict[str, Any]]:
    """The lines of a row: the corrected protocol, and the same with the defect."""
    edition = {"edition": "reference", "defects": ALL if row.defect == ALL else [row.defect]}
    for method in row.methods:
        sides = [_results(row.setup, method, {}, more, row.mark, options) for more in ({}, edition)]
        for metric in row.metrics:
            yield _line(row.defect, row.setup, f"{method}, mark {row.mark}", metric, sides)


def _of_methods(options: Options) -> Iterator[dict[str, Any]]:
    """The same for methods: first what they are measured against, then those with two editions."""
    for setup in METHOD_SETUPS:
        for name in (ORIGINAL, RETRAINED):
            sides = [_results(setup, name, {}, {}, LAST, options)]
            for metric in BOTH:
                yield _line(name, setup, f"mark {LAST}", metric, sides)
        for name in METHODS.names():
            if importlib.util.find_spec(f"erase_ray.reference.methods.{name}") is None:
                continue
            editions = ({}, {"edition": "reference"})
            sides = [_results(setup, name, own, {}, LAST, options) for own in editions]
            for metric in BOTH:
                yield _line(name, setup, f"mark {LAST}", metric, sides)


def _line(
    what: str, setup: Setup, who: str, metric: tuple[str, int], sides: list[pd.DataFrame]
) -> dict[str, Any]:
    found = [side[(side["metric"] == metric[0]) & (side["k"] == metric[1])] for side in sides]
    values = [float(np.mean(one["value"])) for one in found]
    return {
        "what": what,
        "on": setup.title,
        "model": who,
        "metric": f"{metric[0]}@{metric[1]}",
        "values": values,
        "n": [round(float(np.mean(one["n"]))) for one in found],
    }


def _table(what: str, lines: list[dict[str, Any]]) -> str:
    other = "with the defect" if what == "defect" else "reference"
    head = f"| {what} | on | model | metric | corrected | {other} | difference | n |"
    text = [head, "|---|---|---|---|---|---|---|---|"]
    for line in lines:
        values = line["values"]
        figures = [f"{value:.5f}" for value in values]
        figures += [f"{values[1] - values[0]:+.5f}"] if len(values) == 2 else ["-", "-"]
        num = " / ".join(map(str, dict.fromkeys(line["n"])))
        cells = (f"`{line['what']}`", line["on"], line["model"], line["metric"])
        text.append("| " + " | ".join((*cells, *figures, num)) + " |")
    return "\n".join(text)


def _results(
    setup: Setup,
    method: str,
    own: dict[str, Any],
    edition: dict[str, Any],
    mark: int,
    options: Options,
) -> pd.DataFrame:
    """Results at a mark of all seeds; cells that are missing are run."""
    store, found = Store(options.storage), []
    for cell in _cells(setup, method, own, edition, options):
        if cell.mark in (None, mark):
            _run(cell, store)
            results = store.table(cell.key, "results")
            found.append(results[results["mark"] == mark])
    return pd.concat(found)


def _cells(
    setup: Setup,
    method: str,
    own: dict[str, Any],
    edition: dict[str, Any],
    options: Options,
) -> list[Cell]:
    block: dict[str, Any] = {
        "datasets": {setup.data: _data_settings(setup.data, options)},
        "models": {setup.model: setup.settings},
        "training": setup.training,
        "scenarios": {setup.scenario: setup.requests | edition},
        "methods": {method: own},
        "seeds": options.seeds,
    }
    return [cell for cell in expand([Block(**block)]) if cell.method.title.split(".")[0] == method]


def _data_settings(name: str, options: Options) -> dict[str, Any]:
    if name != "table":
        return {}
    assert options.baskets is not None
    return {
        "task": "next_basket",
        "interactions": str(options.baskets),
        "columns": {"user": "user_id", "item": "item_id", "basket": "basket"},
        "min_item_count": 100,
        "min_baskets": 8,
        "categories": {"tenth": {"file": str(_tenth(options.baskets, options.storage))}},
    }


@cache
def _tenth(baskets: Path, storage: str) -> Path:
    """A file with every tenth item id of the baskets."""
    items = np.unique(pd.read_parquet(baskets, columns=["item_id"])["item_id"])
    path = Path(storage) / "tenth.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{item}\n" for item in items if item % 10 == 0))
    return path.absolute()


def _run(cell: Cell, store: Store) -> None:
    for node in build([cell], store).pending():
        done = run_node(node.payload, store.uri)
        print(f"{done['label']} {done['status']} in {done['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
