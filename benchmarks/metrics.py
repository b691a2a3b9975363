"""Seconds and memory of all metrics, groups and cut-offs over a large table of ranked lists.

    python benchmarks/metrics.py
    python benchmarks/metrics.py --rows 1000000 --folder /var/tmp

Writes a table ``ranked`` of --rows made-up queries with 20 items and 1 to 5 relevant ones each,
reads and judges it in a process of its own, and judges a sample of it query by query in Python for
comparison. Both are also told in seconds of the processor, which another load disturbs less.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.experiment.answers import KS, Gauge
from erase_ray.experiment.tables import SCHEMAS
from erase_ray.metrics import Population

DEPTH = max(KS)
PROBE_SHARE = 0.1
ROWS_PER_USER = 10
GROUP_ROWS = 1 << 20


def write(path: Path, rows: int, items: int) -> None:
    """Four marks of test queries and of probes, as cells write them."""
    draw = np.random.default_rng(0)
    with pq.ParquetWriter(path, SCHEMAS["ranked"], compression="zstd") as writer:
        for start in range(0, rows, GROUP_ROWS):
            writer.write_table(made_up(draw, start, min(GROUP_ROWS, rows - start), rows, items))


def made_up(draw: np.random.Generator, start: int, size: int, rows: int, items: int) -> pa.Table:
    place = np.arange(start, start + size)
    is_probe = place * 4 % rows >= rows * (1 - PROBE_SHARE)
    num_relevant = np.where(is_probe, 0, draw.integers(1, 6, size))
    ranked = (items * draw.random((size, DEPTH)) ** 2).astype(np.int32)
    owners = np.repeat(np.arange(size), num_relevant)
    relevant = (items * draw.random(len(owners)) ** 2).astype(np.int32)
    is_found = draw.random(len(owners)) < 0.3
    relevant[is_found] = ranked[owners[is_found], draw.integers(0, DEPTH, is_found.sum())]
    columns = {
        "mark": place * 4 // rows + 1,
        "asks": np.where(is_probe, "probe", "test"),
        "query": place,
        "user": place // ROWS_PER_USER,
        "row": place,
        "items": lists(np.arange(size + 1) * DEPTH, ranked.ravel()),
        "relevant": lists(np.r_[0, np.cumsum(num_relevant)], relevant),
        "exposed_rank": np.where(is_probe, draw.random(size), np.nan).astype(np.float32),
        "exposed_mass": np.where(is_probe, draw.random(size), np.nan).astype(np.float32),
    }
    return pa.table(columns, schema=SCHEMAS["ranked"])


def lists(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def gauge(rows: int, items: int) -> Gauge:
    draw = np.random.default_rng(1)
    shares = {"requester": rows // ROWS_PER_USER + 1, "active": rows, "popular": items}
    population = Population(*(draw.random(size) < 0.3 for size in shares.values()))
    exposed = draw.random(items) < 0.01
    return Gauge(lambda mark: exposed, population)


def judged(path: Path, rows: int, items: int) -> dict[str, float]:
    """Judge the whole file; seconds, and the highest resident size of this process."""
    known = gauge(rows, items)
    started, before = time.perf_counter(), processor_s()
    found = known.stored(str(path))
    numbers = [one.value for mark, asks in found.tallies for one in found.measured(mark, asks)]
    return {
        "wall": time.perf_counter() - started,
        "processor": processor_s() - before,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "numbers": len(numbers),
    }


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def one_by_one(path: Path, rows: int, items: int, sample: int) -> dict[str, float]:
    """The same metrics of the first test queries, with sets and loops; seconds for all rows."""
    table = next(pq.ParquetFile(path).iter_batches(sample)).to_pylist()
    known = gauge(rows, items).population
    started, before = time.perf_counter(), processor_s()
    sums: dict[tuple[str, int, str], list[float]] = {}
    for query in table:
        groups = {
            "": set(query["relevant"]),
            "popular": {item for item in query["relevant"] if known.popular_I[item]},
            "tail": {item for item in query["relevant"] if not known.popular_I[item]},
        }
        is_active, asks = known.active_R[query["row"]], known.requester_U[query["user"]]
        groups["active" if is_active else "inactive"] = groups[""]
        groups["requesters" if asks else "others"] = groups[""]
        for group, relevant in groups.items():
            for k in KS if relevant else ():
                for name, value in textbook(query["items"][:k], relevant, k).items():
                    sums.setdefault((name, k, group), []).append(value)
    means = {key: math.fsum(values) / len(values) for key, values in sums.items()}
    assert means
    scale = rows / len(table)
    return {
        "wall": (time.perf_counter() - started) * scale,
        "processor": (processor_s() - before) * scale,
    }


def textbook(items: list[int], relevant: set[int], k: int) -> dict[str, float]:
    ranks = [rank for rank, item in enumerate(items, 1) if item in relevant]
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return {
        "recall": len(ranks) / len(relevant),
        "precision": len(ranks) / k,
        "hit": float(bool(ranks)),
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / best,
    }


def main() -> None:
    """Write the table, judge it, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=20_000, help="queries of the comparison")
    parser.add_argument("--folder", type=Path, help="where the table is written; the system's own")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = (arguments.rows, arguments.items)
    if arguments.file:
        print(json.dumps(judged(arguments.file, *sizes)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "ranked.parquet")
        write(path, *sizes)
        command = [sys.executable, __file__, "--file", str(path)]
        command += ["--rows", str(sizes[0]), "--items", str(sizes[1])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        ours = json.loads(done.stdout.splitlines()[-1])
        slow = one_by_one(path, *sizes, arguments.sample)
        print(f"{sizes[0]} queries, {path.stat().st_size / 1e6:.0f} MB, {ours['numbers']} numbers")
    print(f"{'':<14}{'wall s':>10}{'processor s':>14}{'peak GB':>10}")
    print(
        f"{'tiles':<14}{ours['wall']:>10.1f}{ours['processor']:>14.1f}{ours['bytes'] / 1e9:>10.2f}"
    )
    print(f"{'one by one':<14}{slow['wall']:>10.1f}{slow['processor']:>14.1f}{'scaled':>10}")
    print(f"{'ratio':<14}{slow['wall'] / ours['wall']:>10.1f}", end="")
    print(f"{slow['processor'] / ours['processor']:>14.1f}")


if __name__ == "__main__":
    main()
