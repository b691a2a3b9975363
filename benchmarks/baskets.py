"""Speed of the basket models against plain loops over users, with the same numbers.

    python benchmarks/baskets.py
    python benchmarks/baskets.py --baskets FILE.parquet --max-items 4000 --threads 1

FILE has the columns user_id, basket and item_id. Without it the baskets are generated (in the
format of Ta-Feng, about 1,700 items). The loops are written in the way of the original
implementations (see _basket_loops.py), with the settings of the benchmark on both sides: Sets2Sets
one user a step with dense Adam over the items x items layer, which takes 16 bytes for each pair of
items (choose ``--max-items`` so that it fits); DNNTSP 64 users a step. Before anything is timed
both sides must give the same losses from the same weights. They take turns; medians are printed.
On a machine that others use too, ``--cpu-time`` counts the seconds that the processor spent here.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from _basket_loops import LOOPS, listed

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepare import prepare
from erase_ray.data.split import Part
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.evaluation import rank
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.models._adam import Adam
from erase_ray.tasks import TASKS, Cut, Queries
from erase_ray.training import _Steps

SEED = 2
TOP = 20
SCALE = 60.0
MIN_BASKETS = 4
CHECKED = 64
Clock = Callable[[], float]
CLOCKS: tuple[Clock, Clock] = (time.perf_counter, time.process_time)


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    table, clock = _table(arguments), CLOCKS[arguments.cpu_time]
    print(
        f"{table.num_users} users, {table.num_items} items, {len(table)} rows; "
        f"{arguments.threads} threads, medians of {arguments.rounds} rounds, "
        f"{'processor' if arguments.cpu_time else 'wall-clock'} time"
    )
    columns = ("train/s", "loop", "ratio", "queries/s", "loop", "ratio", "same to")
    print(f"{'model':<11}{'users':>7}" + "".join(f"{column:>11}" for column in columns))
    for name in arguments.models:
        sides = Sides(name, table, arguments.users)
        same = sides.difference()
        rounds = [sides.rates(clock) for _ in range(arguments.rounds + 1)][1:]
        rates = [statistics.median(each[i] for each in rounds) for i in range(4)]
        cells = (*rates[:2], rates[0] / rates[1], *rates[2:], rates[2] / rates[3], same)
        row = "".join(f"{cell:>11.3g}" for cell in cells)
        print(f"{name:<11}{len(sides.users):>7}{row}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(LOOPS), choices=list(LOOPS))
    parser.add_argument("--baskets", type=Path, help="real baskets; default: generated")
    parser.add_argument("--max-items", type=int, default=0, help="the most bought; 0: all")
    parser.add_argument("--users", type=int, default=64, help="of an epoch and an evaluation")
    parser.add_argument("--rounds", type=int, default=3, help="that count, after one that does not")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="instead of wall-clock time")
    return parser.parse_args()


def _table(arguments: argparse.Namespace) -> Interactions:
    if arguments.baskets is not None:
        file = pq.read_table(arguments.baskets, columns=["user_id", "basket", "item_id"])
        user, step, item = (np.unique(column, return_inverse=True)[1] for column in file.columns)
        return _cut(user, step, item, arguments.max_items)
    kind = DATASETS.get("synthetic")
    dataset = kind(kind.Settings(of="tafeng", scale=SCALE))
    with tempfile.TemporaryDirectory() as folder:
        raw = dataset.read({}, Scratch(Path(folder)))
        made = prepare(dataset, raw, TASKS.get("next_basket")().split).interactions
    return _cut(made.user, made.step, made.item, arguments.max_items)


def _cut(user: np.ndarray, step: np.ndarray, item: np.ndarray, max_items: int) -> Interactions:
    """The rows of the most bought items, of users with four baskets or more of those."""
    often_I = np.bincount(item)
    most = np.argsort(-often_I, kind="stable")[: max_items or len(often_I)]
    kept = np.flatnonzero(np.isin(item, most))
    baskets = np.unique(np.stack([user[kept], step[kept]]), axis=1)
    kept = kept[np.bincount(baskets[0], minlength=user.max() + 1)[user[kept]] >= MIN_BASKETS]
    kept = kept[np.lexsort((item[kept], step[kept], user[kept]))]
    user, item = (np.unique(ids[kept], return_inverse=True)[1] for ids in (user, item))
    columns = {"user": user, "sequence": user, "item": item}
    return Interactions.prepared({**columns, "step": step[kept], "time": step[kept]})


class Sides:
    """One model here and as a loop, with the same weights and the same users."""

    def __init__(self, name: str, table: Interactions, num_users: int) -> None:
        kind, task = MODELS.get(name), TASKS.get("next_basket")()
        self.settings: TrainingSettings = kind.training
        self.model: Model = kind(kind.Settings(), Shape(table.num_users, table.num_items))
        split, cut = task.split(table), Cut(self.model.max_history, torch.device("cpu"))
        examples = task.examples(table, split, cut)
        queries = task.queries(table, split, Part.TEST, cut)
        self.model.reset(seeds.torch_generator(SEED, "init"))
        self.model.prepare(examples)
        self.examples = examples.take(_some(len(examples), num_users))
        chosen = _some(len(queries), num_users)
        inputs, picked = queries.inputs.take(chosen), chosen.numpy()
        self.queries = Queries(inputs, queries.relevant.pick(picked), queries.masked.pick(picked))
        self.users, self.asking = listed(self.examples), listed(inputs)
        self.loop = LOOPS[name](self.model)
        self._adam = torch.optim.Adam(self.loop.parameters(), lr=self.settings.learning_rate)
        adam = Adam(self.model, self.settings.learning_rate)
        self._steps = _Steps(self.model, self.examples, adam, self.settings, SEED)
        self._epoch = 0

    def difference(self) -> float:
        """The largest relative difference of a user's loss, in training mode.

        Raises:
            SystemExit: It is more than rounding.
        """
        index = torch.arange(min(len(self.users), CHECKED))
        size = self.settings.batch_size
        with torch.no_grad():
            mine = [self.model.loss(self.examples.batch(i, 0)) for i in index.split(size)]
            theirs = [self.loop.losses([self.users[i] for i in k]) for k in index.split(size)]
        loss, expected = torch.cat(mine), torch.cat(theirs)
        if not torch.allclose(loss, expected, rtol=1e-4, atol=0):
            raise SystemExit(f"{self.model.name}: losses differ: {loss} and {expected}")
        return float(((loss - expected) / expected).abs().max())

    def rates(self, clock: Clock) -> tuple[float, ...]:
        """Users a second of a training epoch here and there, and of an evaluation."""
        calls = (self._train, self._loop_train, self._evaluate, self._loop_evaluate)
        counts = (len(self.users), len(self.users), len(self.asking), len(self.asking))
        return tuple(
            count / _seconds(call, clock) for count, call in zip(counts, calls, strict=True)
        )

    def _train(self) -> None:
        self._epoch += 1
        self._steps.run(self._epoch)

    def _loop_train(self) -> None:
        self.loop.train()
        size = self.settings.batch_size
        for start in range(0, len(self.users), size):
            self._adam.zero_grad()
            self.loop.losses(self.users[start : start + size]).mean().backward()
            self._adam.step()

    def _evaluate(self) -> None:
        rank(self.model, self.queries, TOP)

    def _loop_evaluate(self) -> None:
        self.loop.eval()
        with torch.no_grad():
            for user in self.asking:
                self.loop.scores(user).topk(TOP)


def _some(num: int, limit: int) -> torch.Tensor:
    """Positions of ``limit`` of ``num``, drawn at random."""
    return seeds.order(seeds.derive(SEED, "some"), torch.arange(num))[:limit].sort().values


def _seconds(call: Callable[[], None], clock: Clock) -> float:
    start = clock()
    call()
    return clock() - start


if __name__ == "__main__":
    main()
