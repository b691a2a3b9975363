"""What bfloat16 products and torch.compile change: time of an epoch, and its loss.

    python benchmarks/options.py
    python benchmarks/options.py --sessions FILE.parquet --models gru4rec srgnn --max-steps 20

The same steps from the same weights with each option, after an epoch that does not count; what is
printed are medians of --rounds epochs, the ratio to plain float32, and how far the mean loss of the
last epoch is from that of plain float32.
"""

import argparse
import statistics
from pathlib import Path

import torch
from _speed_ours import Data, Ours, sessions, stored

from erase_ray.models import MODELS

OPTIONS = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "compile": {"compile": True},
}
DATA = {"cf": "movielens_100k", "session_based": "movielens_100k_sessions"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["bpr", "lightgcn", "gru4rec", "sasrec"])
    parser.add_argument("--options", nargs="+", default=list(OPTIONS), choices=list(OPTIONS))
    parser.add_argument("--storage", default="runs", help="store of the prepared datasets")
    parser.add_argument("--sessions", type=Path, help="real sessions, for the session models")
    parser.add_argument("--max-steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", type=torch.device)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{'model':<10}{'option':<10}{'samples/s':>12}{'ratio':>8}{'loss differs by':>18}")
    for name in arguments.models:
        plain = None
        for option in dict.fromkeys(["float32", *arguments.options]):
            rate, loss = measured(name, option, arguments)
            plain = plain or (rate, loss)
            gap = abs(loss - plain[1]) / plain[1]
            print(f"{name:<10}{option:<10}{rate:>12.0f}{rate / plain[0]:>8.2f}{gap:>18.1e}")


def measured(name: str, option: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Samples per second, and the loss of the last epoch."""
    torch.compiler.reset()
    data = _data(name, arguments)
    ours = Ours(name, data, arguments.device, arguments.max_steps, 1, OPTIONS[option])
    epochs = [ours.train() for _ in range(arguments.rounds + 1)][1:]
    seconds = statistics.median(epoch["wall"] for epoch in epochs)
    return len(ours.examples) / seconds, epochs[-1]["loss"]


def _data(name: str, arguments: argparse.Namespace) -> Data:
    task = MODELS.get(name).task
    if task == "session_based" and arguments.sessions:
        return sessions(arguments.sessions, 0)
    return stored(DATA[task], arguments.storage)


if __name__ == "__main__":
    main()
