"""How good the trained models are: against popularity, and against RecBole's own training.

    python benchmarks/quality.py                                  # cf alone, from a fresh clone
    python benchmarks/quality.py --data FOLDER --markdown quality.md
    python benchmarks/quality.py --only gru4rec --seeds 2 3 --data FOLDER
    python benchmarks/quality.py --data FOLDER --write-split SPLIT   # for recbole_quality.py

FOLDER holds ``diginetica_sessions.parquet`` (session_id, position, item_id) and
``tafeng_baskets.parquet`` (user_id, basket, item_id). Each model is trained with the benchmark's
settings by :func:`erase_ray.training.train` and tested with its best epoch. RecBole's figures come
from ``recbole_quality.json``, which ``recbole_quality.py`` makes from the same split; models run at
most as many epochs as there. Next-basket models have no such oracle.

A figure passes if the means differ by 3 % at most, or if the 95 % confidence interval of the
difference (Welch's t, seeds as samples) holds 0. ``--only`` also takes settings of a model:
``sets2sets:item_weights=none``. ``--keep FILE`` keeps results there and does not repeat them. Needs
SciPy, which the extra ``test`` brings.
"""

import argparse
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import quality_data
import torch

from erase_ray.data.split import Part
from erase_ray.evaluation import measure, rank
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import MODELS, Shape
from erase_ray.settings import parse_assignment
from erase_ray.tasks import Cut
from erase_ray.training import train

MILD = "sgl:contrast=0.05:temperature=0.5"
"""RecBole's own weights; the benchmark's drown the ranking on so dense a table as MovieLens."""
MODELS_OF = {
    "cf": ("random", "pop", "itemknn", "ease", "bpr", "lightgcn", "sgl", MILD),
    "session_based": ("pop_session", "sknn", "gru4rec", "narm", "sasrec", "srgnn"),
    "next_basket": (
        "pop_basket",
        "top_personal",
        "sets2sets",
        "sets2sets:item_weights=none",
        "dnntsp",
    ),
}
POPULARITY = {"cf": "pop", "session_based": "pop_session", "next_basket": "pop_basket"}
ORACLE = {
    "bpr": "BPR",
    "lightgcn": "LightGCN",
    "sgl": "SGL",
    MILD: "SGL-mild",
    "gru4rec": "GRU4Rec",
    "narm": "NARM",
    "sasrec": "SASRec",
    "srgnn": "SRGNN",
}
SHOWN = {
    "cf": ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "hit@10", "mrr@10"),
    "session_based": ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr@10", "mrr@20"),
    "next_basket": ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "hit@10"),
}
FILES = {"cf": "cf.csv", "session_based": "sessions.csv"}
PROTOCOL = {"srgnn": {"decay_every": 0}, MILD: {"epochs": 60, "patience": 20}}
"""Where training differs from the benchmark's, on both sides; see ``recbole_quality.py``."""
TOLERANCE = 0.03
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """One figure over the seeds."""

    values: list[float]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float:
        """Sample standard deviation; 0 of a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def __str__(self) -> str:
        spread = f" ± {self.sd:.4f}" if len(self.values) > 1 else ""
        return f"{self.mean:.4f}{spread}"


def welch(a: Sample, b: Sample) -> tuple[float, float]:
    """Confidence interval of the difference of the means ``a - b``; infinite for single values."""
    if min(len(a.values), len(b.values)) < 2:
        return -math.inf, math.inf
    from scipy import stats

    difference = a.mean - b.mean
    shares = [one.sd**2 / len(one.values) for one in (a, b)]
    if not sum(shares):
        return difference, difference
    parts = (v**2 / (len(one.values) - 1) for v, one in zip(shares, (a, b), strict=True))
    freedom = sum(shares) ** 2 / sum(parts)
    width = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(sum(shares))
    return difference - width, difference + width


def verdict(ours: Sample, theirs: Sample) -> str:
    """Whether ours is as good as theirs, and by which rule."""
    low, high = welch(ours, theirs)
    if abs(ours.mean / theirs.mean - 1) <= TOLERANCE:
        return "within 3 %"
    if math.isinf(low):
        return "too few seeds"
    if low <= 0 <= high:
        return "within noise"
    return "better" if low > 0 else "worse"


def trained(which: str, data: quality_data.Data, seed: int, epochs: int | None) -> dict:
    """Train one model once; test metrics by ``metric@k`` under ``test``, and how it went."""
    name, *assignments = which.split(":")
    kind, table, split = MODELS.get(name), data.interactions, data.split
    own = kind.Settings(**dict(parse_assignment(text) for text in assignments))
    model = kind(own, Shape(table.num_users, table.num_items))
    settings = kind.training.model_copy(update=PROTOCOL.get(which, {}))
    if epochs:
        settings = settings.model_copy(update={"epochs": min(epochs, settings.epochs)})
    record = train(model, data.task, table, split, settings, seed, "cpu")
    queries = data.task.queries(
        table, split, Part.TEST, Cut(model.max_history, torch.device("cpu"))
    )
    nothing_I = np.zeros(table.num_items, bool)
    answers = Answers(rank(model, queries, 20), queries.relevant, nothing_I)
    metrics = [METRICS.get(metric)() for metric in ("recall", "ndcg", "hit", "mrr")]
    return {
        "test": {f"{one.metric}@{one.k}": one.value for one in measure(answers, metrics, (10, 20))},
        "max_epochs": settings.epochs,
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "valid_curve": record.valid_curve,
        "seconds": round(record.seconds, 1),
    }


@dataclass
class Kept:
    """Results by model and seed, in a file if there is one."""

    path: Path | None
    runs: dict[str, dict[str, dict]]

    @classmethod
    def at(cls, path: Path | None) -> "Kept":
        """What the file holds."""
        there = path is not None and path.exists()
        return cls(path, json.loads(path.read_text()) if path and there else {})

    def add(self, which: str, seed: int, record: dict) -> None:
        """One more result."""
        if self.path:
            self.runs = Kept.at(self.path).runs  # another process may have added its own
        self.runs.setdefault(which, {})[str(seed)] = record
        if self.path:
            self.path.write_text(json.dumps(self.runs, indent=1) + "\n")

    def has(self, which: str, seed: int) -> bool:
        """Whether this result is there."""
        return str(seed) in self.runs.get(which, {})


def samples(runs: dict[str, dict], seeds: list[int]) -> dict[str, Sample]:
    """Each figure over those of the seeds that there are."""
    tests = [runs[str(seed)]["test"] for seed in seeds if str(seed) in runs]
    return {name: Sample([test[name] for test in tests]) for name in tests[0]} if tests else {}


def table(names: list[str], kept: Kept, reference: dict, seeds: list[int]) -> list[list[str]]:
    """Rows of the table of the models of one task, the header first."""
    rows = [["model", "metric", "popularity", "here", "RecBole", "ratio", "seeds", "verdict"]]
    every = {which: samples(runs, seeds) for which, runs in kept.runs.items()}
    task = _task(names[0])
    lowest = every.get(POPULARITY[task], {})
    for which in names:
        theirs = samples(reference.get(ORACLE.get(which, ""), {}), seeds)
        for metric in SHOWN[task]:
            ours, other = every[which][metric], theirs.get(metric)
            counts = [str(len(one.values)) for one in (ours, other) if one]
            rows.append(
                [
                    which,
                    metric,
                    str(lowest[metric]) if lowest else "",
                    str(ours),
                    str(other) if other else "-",
                    f"{ours.mean / other.mean:.3f}" if other else "-",
                    "/".join(counts),
                    verdict(ours, other) if other else "-",
                ]
            )
    return rows


def _task(which: str) -> str:
    return MODELS.get(which.split(":")[0]).task


def aligned(rows: list[list[str]]) -> str:
    """A table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def markdown(rows: list[list[str]]) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def cap(reference: dict, which: str) -> int | None:
    """Most epochs that the oracle was given; None without one."""
    runs = reference.get(ORACLE.get(which, ""), {}).values()
    return min((run["max_epochs"] for run in runs if "max_epochs" in run), default=None)


def parse() -> argparse.Namespace:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage", default="runs", help="where MovieLens 100k is prepared")
    parser.add_argument("--data", type=Path, help="folder of the Parquet files")
    parser.add_argument("--only", nargs="*", default=[], help="models, by default all")
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3, 5, 7, 11])
    parser.add_argument("--reference", type=Path, default=here / "recbole_quality.json")
    parser.add_argument("--keep", type=Path, help="JSON file of results, made or added to")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    parser.add_argument("--write-split", type=Path, help="write the split files and stop")
    return parser.parse_args()


def main() -> None:
    """Train what is not kept yet, print and write the tables."""
    args = parse()
    torch.set_num_threads(1)
    reference = json.loads(args.reference.read_text())["runs"] if args.reference.exists() else {}
    kept, pieces = Kept.at(args.keep), []
    for task, names in MODELS_OF.items():
        wanted = [which for which in args.only or names if _task(which) == task]
        data = quality_data.read(task, args.storage, args.data) if wanted else None
        if data is None:
            continue
        if args.write_split:
            if task in FILES:
                quality_data.write_split(data, args.write_split / FILES[task])
            continue
        for which in wanted:
            for seed in args.seeds if MODELS.get(which.split(":")[0]).learns else args.seeds[:1]:
                if not kept.has(which, seed):
                    record = trained(which, data, seed, cap(reference, which))
                    kept.add(which, seed, record)
                    print(which, seed, record["best_epoch"], record["seconds"], flush=True)
        rows = table(wanted, kept, reference, args.seeds)
        print(f"\n{data.title}\n{aligned(rows)}", flush=True)
        pieces.append(f"### {data.title}\n\n{markdown(rows)}\n")
    if args.markdown and pieces:
        args.markdown.write_text("\n".join(pieces))


if __name__ == "__main__":
    main()
