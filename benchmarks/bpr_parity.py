"""BPR on MovieLens 100k here against RecBole 1.2.1 under the same protocol.

    python benchmarks/bpr_parity.py --storage runs --reference benchmarks/bpr_recbole.json

The reference file comes from ``bpr_recbole.py``, run in an environment of its own (see
``bpr_recbole_requirements.txt``).
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch

from erase_ray.data.split import Part as SplitPart
from erase_ray.datasets import DATASETS
from erase_ray.evaluation import measure, rank
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.store import Store
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import MODELS, Shape
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train

SEEDS = (2, 3, 5, 7, 11)
METRIC_NAMES = ("recall", "ndcg", "hit", "mrr")


def scores(storage: str, seed: int) -> dict[str, float]:
    """Test metrics of BPR with the benchmark's defaults, by ``metric@k``."""
    store = Store(storage)
    part = Part.resolved(DATASETS, "movielens_100k", {})
    prepare_data(part, store)
    data = store.get_data(part.name, data_key(part))
    kind, task = MODELS.get("bpr"), TASKS.get(data.task)()
    table = data.interactions
    model = kind(kind.Settings(), Shape(table.num_users, table.num_items))
    train(model, task, table, data.split, kind.training, seed, "cpu")
    cut = Cut(model.max_history, torch.device("cpu"))
    queries = task.queries(table, data.split, SplitPart.TEST, cut)
    nothing = np.zeros(table.num_items, bool)
    answers = Answers(rank(model, queries, 20), queries.relevant, nothing)
    found = measure(answers, [METRICS.get(name)() for name in METRIC_NAMES], (10, 20))
    return {f"{one.metric}@{one.k}": one.value for one in found}


def main() -> None:
    """Train five seeds and print means beside the reference's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", default="runs")
    parser.add_argument("--reference", default="benchmarks/bpr_recbole.json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ours = [scores(arguments.storage, seed) for seed in SEEDS]
    reference = json.loads(arguments.reference.read_text())["seeds"]
    print(f"{'metric':<10}{'recbole':>10}{'sd':>8}{'here':>10}{'sd':>8}{'ratio':>8}")
    for name in ours[0]:
        theirs = [reference[str(seed)][name] for seed in SEEDS]
        here = [one[name] for one in ours]
        low, high = statistics.mean(theirs), statistics.mean(here)
        ratio = high / low
        spread = statistics.stdev(theirs), statistics.stdev(here)
        print(f"{name:<10}{low:>10.4f}{spread[0]:>8.4f}{high:>10.4f}{spread[1]:>8.4f}{ratio:>8.3f}")


if __name__ == "__main__":
    main()
