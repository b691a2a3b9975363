"""Preparing raw files at full size: time and peak memory against a plain pandas version.

    python benchmarks/preparation.py ratings          # 20 M ratings in the format of ML-20M
    python benchmarks/preparation.py plays            # 30 M plays in the format of 30Music

Raw files are generated (``--raw`` keeps them), then each way of preparing them runs in a process of
its own, from the raw files to the stored dataset, with nothing cached. Both ways must end with the
same rows, or the figures mean nothing.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

SCALES = {"ratings": 2020.0, "plays": 3700.0}
FORMATS = {"ratings": "movielens", "plays": "thirty_music"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=SCALES)
    parser.add_argument("--scale", type=float, help="1 is a few thousand rows")
    parser.add_argument("--raw", type=Path, help="folder for the raw files, kept and used again")
    parser.add_argument("--memory", default="4GB", help="budget of the reader")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--child", choices=["erase_ray", "pandas"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measured(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        args.raw = args.raw or Path(folder) / "raw"
        generate(args)
        ways = ["erase_ray", "pandas"] if args.what == "ratings" else ["erase_ray"]
        best = {way: fastest(args, way, Path(folder)) for way in ways}
    report(best)


def generate(args: argparse.Namespace) -> None:
    from erase_ray.datasets import _synthetic

    args.raw.mkdir(parents=True, exist_ok=True)
    if not any(args.raw.iterdir()):
        started = time.perf_counter()
        _synthetic.write(FORMATS[args.what], args.raw, args.scale or SCALES[args.what], 0)
        print(f"generated in {time.perf_counter() - started:.0f} s")
    size = sum(path.stat().st_size for path in args.raw.rglob("*") if path.is_file())
    print(f"raw files: {size / 1e9:.2f} GB")


def fastest(args: argparse.Namespace, way: str, folder: Path) -> dict:
    runs = []
    for number in range(args.repeats):
        command = [sys.executable, __file__, args.what, "--child", way, "--raw", str(args.raw)]
        out = folder / f"{way}{number}"
        command += ["--out", str(out), "--memory", args.memory]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        facts = runs[-1]
        print(
            f"{way:10s} {facts['seconds']:7.1f} s  {facts['read'] / facts['seconds'] / 1e6:6.2f} M "
            f"rows/s  peak {facts['peak_gb']:.2f} GB  {facts['rows']} rows stored",
            flush=True,
        )
    return min(runs, key=lambda run: run["seconds"])


def report(best: dict[str, dict]) -> None:
    ours = best["erase_ray"]
    if "pandas" in best:
        other = best["pandas"]
        for fact in ("read", "rows", "users", "items", "split", "times", "sensitive"):
            assert ours[fact] == other[fact], (fact, ours[fact], other[fact])
        print(f"same rows; {other['seconds'] / ours['seconds']:.1f} times the speed of pandas")
        print(f"peak memory {ours['peak_gb'] / other['peak_gb']:.2f} of that of pandas")


def measured(args: argparse.Namespace) -> dict:
    started = time.perf_counter()
    facts = (with_erase_ray if args.child == "erase_ray" else with_pandas)(args)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return facts | {"seconds": seconds, "peak_gb": peak / 1e9}


def with_erase_ray(args: argparse.Namespace) -> dict:
    from erase_ray.cli._options import memory_bytes
    from erase_ray.datasets import DATASETS, Scratch
    from erase_ray.experiment.cell import Part, data_key
    from erase_ray.experiment.preparing import Places, find_raw, read_and_prepare
    from erase_ray.experiment.store import Store

    name = FORMATS[args.what]
    scratch = Scratch(args.out / "scratch", memory_bytes(args.memory))
    store = Store(str(args.out / "store"))
    part = Part.resolved(DATASETS, name, {})
    raw = find_raw(part, Places(args.out / "cache", args.raw, scratch))
    data = read_and_prepare(part, raw, scratch)
    store.put_data(data, data_key(part))
    table = data.interactions
    return {
        "read": data.counts["read"],
        "rows": len(table),
        "users": table.num_users,
        "items": table.num_items,
        "split": int((data.split.marks.astype("int64") * (table.row % 1009 + 1)).sum()),
        "times": int((table.time % 1013 * (table.row % 1009 + 1)).sum()),
        "sensitive": {k: int(v.sum()) for k, v in sorted(data.catalogue.categories.items())},
    }


def with_pandas(args: argparse.Namespace) -> dict:
    """The same steps as a straightforward script would do them."""
    import numpy as np
    import pandas as pd

    from erase_ray.datasets._rules_movielens import RULES

    ratings = pd.read_csv(args.raw / "rating.csv", dtype={"userId": str, "movieId": str})
    num_read = len(ratings)
    ratings["timestamp"] = (
        pd.to_datetime(ratings["timestamp"], format="%Y-%m-%d %H:%M:%S")
        .astype("datetime64[s]")
        .astype("int64")
    )
    ratings = ratings[ratings["rating"] >= 3.5].drop_duplicates()
    while True:
        per_user = ratings.groupby("userId")["movieId"].transform("size")
        per_item = ratings.groupby("movieId")["userId"].transform("size")
        stays = (per_user >= 5) & (per_item >= 5)
        if stays.all():
            break
        ratings = ratings[stays]
    ratings["user_number"] = ratings["userId"].map(natural_ranks(ratings["userId"].unique()))
    ratings["item_number"] = ratings["movieId"].map(natural_ranks(ratings["movieId"].unique()))
    ratings = ratings.sort_values(["user_number", "timestamp", "item_number"])
    ratings["user"] = pd.factorize(ratings["userId"])[0]
    ratings["item"] = pd.factorize(ratings["movieId"])[0]
    by_user = ratings.groupby("user")
    ratings["step"] = by_user.cumcount()
    n = by_user["step"].transform("size")
    test = (n * 0.1 + 1e-9).astype("int64")
    valid = test.copy()
    train = n - test - valid
    for part in (test, valid):
        moves = (n < 10) & (train > 1)
        part += moves
        train -= moves
    ratings["mark"] = (ratings["step"] >= train).astype("int8") + (ratings["step"] >= train + valid)
    films = pd.read_csv(args.raw / "movie.csv", dtype=str).fillna("")
    tags = pd.read_csv(args.raw / "tag.csv", dtype=str).dropna(subset=["tag"])
    tagged = tags.groupby("movieId")["tag"].agg("\n".join)
    films = films.merge(tagged, how="left", left_on="movieId", right_index=True).fillna("")
    films = films[films["movieId"].isin(ratings["movieId"].unique())]
    genres = films["genres"].str.replace("|", "\n", regex=False)
    fields = {"title": films["title"], "genres": genres, "tags": films["tag"]}
    sensitive = {}
    for category, rule in RULES.items():
        signals = sum(
            fields[field].str.contains(keywords.pattern, case=False, regex=True).astype(int)
            for field, keywords in rule.fields.items()
        )
        sensitive[category] = films[signals >= rule.min_signals]["movieId"]
    args.out.mkdir(parents=True)
    columns = ["user", "step", "item", "timestamp", "mark"]
    ratings[columns].to_parquet(args.out / "interactions.parquet", compression="zstd")
    row = np.arange(len(ratings))
    return {
        "read": num_read,
        "rows": len(ratings),
        "users": int(ratings["user"].max()) + 1,
        "items": int(ratings["item"].max()) + 1,
        "split": int((ratings["mark"].to_numpy("int64") * (row % 1009 + 1)).sum()),
        "times": int((ratings["timestamp"].to_numpy() % 1013 * (row % 1009 + 1)).sum()),
        "sensitive": {name: len(films.unique()) for name, films in sorted(sensitive.items())},
    }


def natural_ranks(texts: Iterable[str]) -> dict[str, int]:
    """Numbers by their value, then other texts."""

    def key(text: str) -> tuple:
        number = text.isascii() and text.isdigit()
        digits = text.lstrip("0") if number else ""
        return not number, len(digits), digits, text

    return {text: rank for rank, text in enumerate(sorted(texts, key=key))}


if __name__ == "__main__":
    main()
