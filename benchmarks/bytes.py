"""How many bytes the weights of all methods take in the store, on real data.

    python benchmarks/bytes.py --data FOLDER

FOLDER holds tafeng_baskets.parquet and diginetica_sessions.parquet (columns as in quality_data.py).
Each of seven methods serves ``--num`` requests on one trained model a task; after every quarter of
them its weights are stored as a run does it, as differences from the mark before (or from the base
model, if that is smaller), and once more as full copies in another store. The table shows:

* stored: bytes of the four marks of the method in parts of those of full copies;
* new: the same without files that another method stored before (equal weights are one file);
* one by one: from the base model alone, for comparison;
* put, get: processor seconds of storing and reading a mark, in parts of those of a full copy, and
  in megabytes of weights a second; request: of storing a mark, in parts of those of the quarter of
  the requests before it.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _study import READERS, Study, make, requests, serve, start
from torch import Tensor

from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.weights import get_weights, put_weights
from erase_ray.models import MODELS

METHOD_NAMES = ("scif", "kookmin", "fanchuan", "gif", "ceu", "idea", "seif")
MODEL_NAMES = ("bpr", "gru4rec", "sets2sets")
NUM_MARKS = 4
HEAD = ("stored", "new", "one by one", "put", "get", "put MB/s", "get MB/s", "request")


@dataclass(eq=False)
class Sums:
    """Bytes and seconds of some marks."""

    full: int = 0
    stored: int = 0
    new: int = 0
    alone: int = 0
    put_s: float = 0.0
    get_s: float = 0.0
    full_put_s: float = 0.0
    full_get_s: float = 0.0
    request_s: float = 0.0

    def add(self, other: "Sums") -> None:
        """Count other marks in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self, name: str) -> str:
        """A line of the table."""
        numbers = [
            *(f"{bytes / self.full:.3f}" for bytes in (self.stored, self.new, self.alone)),
            f"{self.put_s / self.full_put_s:.1f}",
            f"{self.get_s / self.full_get_s:.1f}",
            f"{self.full / self.put_s / 1e6:.0f}",
            f"{self.full / self.get_s / 1e6:.0f}",
            f"{self.put_s / self.request_s:.3f}",
        ]
        return f"{name:<10}" + "".join(f"{number:>12}" for number in numbers)


@dataclass(eq=False)
class Stores:
    """A store as a run writes it, one of full copies, one of differences from the base alone."""

    real: Blobs
    copies: Blobs
    alone: Blobs
    base: str
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path, base: dict[str, Tensor]) -> "Stores":
        """Fresh ones with the weights of a base model in each."""
        real, copies, alone = (open_blobs(str(folder / name)) for name in "rca")
        names = {put_weights(blobs, base) for blobs in (real, copies, alone)}
        return cls(real, copies, alone, *names)

    def put(self, weights: dict[str, Tensor], before: str) -> tuple[str, Sums]:
        """Store a mark; its name, and what it took."""
        sums = Sums()
        started = time.process_time()
        name = put_weights(self.real, weights, before)
        sums.put_s = time.process_time() - started
        started = time.process_time()
        copy = put_weights(self.copies, weights)
        sums.full_put_s = time.process_time() - started
        sums.get_s = _check(self.real, name, weights)
        sums.full_get_s = _check(self.copies, copy, weights)
        sums.full = self.copies.size(f"weights/{copy}") or 0
        # the base's own file is there anyway
        is_base = name == self.base
        sums.stored = 0 if is_base else self.real.size(f"weights/{name}") or 0
        sums.new = 0 if name in self.seen else sums.stored
        alone = put_weights(self.alone, weights, self.base)
        sums.alone = 0 if alone == self.base else self.alone.size(f"weights/{alone}") or 0
        self.seen.add(name)
        return name, sums


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    for name in arguments.models:
        data = READERS[MODELS.get(name).task](arguments.data)
        study = Study.of(name, data, arguments.cache)
        size = sum(tensor.nbytes for tensor in study.weights.values())
        print(f"\n{name} on {data.title}: {size / 1e6:.1f} MB of weights", flush=True)
        print(f"{'':<10}" + "".join(f"{title:>12}" for title in HEAD), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            stores, total = Stores.of(Path(folder), study.weights), Sums()
            for method in METHOD_NAMES:
                sums = of_method(study, method, arguments.num, stores)
                total.add(sums)
                print(sums.row(method), flush=True)
            print(total.row("all"), flush=True)


def of_method(study: Study, method: str, num: int, stores: Stores) -> Sums:
    """What the marks of a method take."""
    total, before = Sums(), stores.base
    for weights, seconds in marks(study, method, num):
        before, sums = stores.put(weights, before)
        sums.request_s = seconds
        total.add(sums)
    return total


def marks(study: Study, name: str, num: int) -> Iterator[tuple[dict[str, Tensor], float]]:
    """Weights after every quarter of the requests, and seconds of that quarter."""
    method, world = make(name), study.world()
    model, state = start(study, method, world)
    specs = requests(study.data, num)
    ends = [-(-len(specs) * mark // NUM_MARKS) for mark in range(1, NUM_MARKS + 1)]
    seconds = 0.0
    for number, served in enumerate(serve(method, model, world, specs, state)):
        seconds += served.seconds
        if number + 1 in ends:
            yield (
                {key: value.detach().clone() for key, value in model.state_dict().items()},
                seconds,
            )
            seconds = 0.0


def _check(blobs: Blobs, name: str, weights: dict[str, Tensor]) -> float:
    """Processor seconds of reading; what was read must be equal to the last bit."""
    started = time.process_time()
    read = {key: tensor.clone() for key, tensor in get_weights(blobs, name).items()}
    seconds = time.process_time() - started
    for key, tensor in weights.items():
        left, right = (t.contiguous().reshape(-1).view(torch.uint8) for t in (read[key], tensor))
        assert torch.equal(left, right), key
    return seconds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--models", nargs="+", default=MODEL_NAMES)
    parser.add_argument("--num", type=int, default=100, help="requests of each method")
    parser.add_argument("--cache", type=Path, default=Path("bench_cache"), help="trained models")
    return parser.parse_args()


if __name__ == "__main__":
    main()
