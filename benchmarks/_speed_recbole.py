"""RecBole's side of models.py as seen from here: its files, its settings, its process."""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _speed_ours import KS, METRIC_NAMES, Data, Ours

from erase_ray.data.split import Part
from erase_ray.tasks import Examples

SCRIPT = Path(__file__).with_name("recbole_speed.py")
CLASSES = {
    "bpr": "BPR",
    "lightgcn": "LightGCN",
    "sgl": "SGL",
    "gru4rec": "GRU4Rec",
    "narm": "NARM",
    "sasrec": "SASRec",
    "srgnn": "SRGNN",
}
EVAL_BATCH = {"cf": 4096, "session_based": 256}
"""What the reference evaluates with; for CF it counts scores, so it is a few users."""


def candidates(ours: Ours) -> list[int]:
    """Evaluation batch sizes among which RecBole's best is looked for."""
    if ours.data.task == "cf":
        rows, width = (64, 512, len(ours.queries)), ours.model.shape.num_items + 1
        return [width * num for num in rows]
    return [256, 1024, 4096]


class RecBole:
    """A process that holds one model of RecBole; use as a context.

    Args:
        python: Interpreter of RecBole's environment.
        ours: The model of ours that it is compared with; gives data and settings.
        folder: For the files that RecBole reads and writes.
        threads: Threads of its torch.
    """

    def __init__(self, python: str, ours: Ours, folder: Path, threads: int) -> None:
        self._model = CLASSES[ours.model.name]
        write_files(ours, folder / ours.data.name)
        spec = {
            "folder": str(folder),
            "dataset": ours.data.name,
            "model": self._model,
            "threads": threads,
            "max_steps": -(-len(ours.examples) // ours.settings.batch_size),
            "config": {**_config(ours), "data_path": str(folder)},
        }
        self._process = subprocess.Popen(
            [python, str(SCRIPT), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts = self._answer()
        _check(self.facts, ours)

    def __enter__(self) -> "RecBole":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def train(self) -> dict[str, Any]:
        """One epoch."""
        return self._ask({"do": "train"})

    def evaluate(self, batch: int) -> dict[str, Any]:
        """The full-ranking evaluation in batches of this size."""
        return self._ask({"do": "evaluate", "batch": batch})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                return json.loads(line[1:])
        raise RuntimeError(f"RecBole's {self._model} ended with {self._process.wait()}")


def _config(ours: Ours) -> dict[str, Any]:
    training, is_cf = ours.settings, ours.data.task == "cf"
    columns = ["user_id", "item_id"] if is_cf else ["user_id", "item_id_list", "item_id"]
    negatives = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False}
    return {
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": columns},
        "alias_of_item_id": None if is_cf else ["item_id_list"],
        "train_neg_sample_args": negatives if is_cf else None,
        "train_batch_size": training.batch_size,
        "eval_batch_size": EVAL_BATCH[ours.data.task],
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "eval_args": {"order": "RO" if is_cf else "TO", "mode": "full", "group_by": "user"},
        "metrics": list(METRIC_NAMES),
        "topk": list(KS),
        "valid_metric": f"{training.select_metric}@{training.select_k}",
        "use_gpu": ours.device.type == "cuda",
        "show_progress": False,
        "state": "ERROR",
        **_OWN[ours.model.name](ours.model.settings),
    }


_OWN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "bpr": lambda own: {"embedding_size": own.embedding_size},
    "lightgcn": lambda own: _graph(own),
    "sgl": lambda own: {
        **_graph(own),
        "type": "ED",
        "drop_ratio": own.edge_dropout,
        "ssl_weight": own.contrast,
        "ssl_tau": own.temperature,
    },
    "gru4rec": lambda own: {
        "embedding_size": own.embedding_size,
        "hidden_size": own.hidden_size,
        "num_layers": 1,
        "dropout_prob": own.dropout,
    },
    "narm": lambda own: {
        "embedding_size": own.embedding_size,
        "hidden_size": own.hidden_size,
        "n_layers": 1,
        "dropout_probs": [own.dropout, own.session_dropout],
    },
    "sasrec": lambda own: {
        "n_layers": own.num_layers,
        "n_heads": own.num_heads,
        "hidden_size": own.embedding_size,
        "inner_size": own.inner_size,
        "hidden_dropout_prob": own.dropout,
        "attn_dropout_prob": own.attention_dropout,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
    },
    "srgnn": lambda own: {"embedding_size": own.embedding_size, "step": own.num_steps},
}
"""The settings of our models in RecBole's words."""


def _graph(own: Any) -> dict[str, Any]:
    return {
        "embedding_size": own.embedding_size,
        "n_layers": own.num_layers,
        "reg_weight": own.penalty,
        "require_pow": own.penalty_form == "squared",
    }


def _check(facts: dict[str, Any], ours: Ours) -> None:
    """Both sides must have the same to do."""
    same = {"queries": len(ours.queries), "items": ours.model.shape.num_items}
    if ours.data.task != "cf":
        same["samples"] = len(ours.examples)
    for name, expected in same.items():
        if facts[name] != expected:
            raise RuntimeError(f"RecBole has {facts[name]} {name}, expected {expected}")


def write_files(ours: Ours, folder: Path) -> None:
    """Training examples and test queries as RecBole's files of a split that is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if ours.data.task == "cf":
        for part in Part:
            chosen = ours.data.split.select(ours.data.table, part)
            columns = (ours.data.table.user[chosen], ours.data.table.item[chosen])
            _write(ours.data, folder, part, [c.astype(str) for c in columns])
        return
    _write(ours.data, folder, Part.TRAIN, _windows(ours.examples))
    _write(ours.data, folder, Part.TEST, _windows(ours.queries.inputs))
    # RecBole's catalogue is what its files name
    items = np.arange(ours.model.shape.num_items).astype(str)
    _write(ours.data, folder, Part.VALID, [np.full(len(items), "0"), items, items])


def _windows(examples: Examples) -> list[Iterable[str]]:
    every = torch.arange(len(examples), device=examples.rows.device)
    batch = examples.batch(every, seed=0)
    items, lengths = batch.items_BL.cpu().numpy().astype(str), batch.length_B.tolist()
    histories = [" ".join(row[:length]) for row, length in zip(items, lengths, strict=True)]
    users, targets = examples.users.cpu().numpy(), batch.target_B.cpu().numpy()
    return [users.astype(str), histories, targets.astype(str)]


def _write(data: Data, folder: Path, part: Part, columns: list[Iterable[str]]) -> None:
    names = ["user_id:token", "item_id_list:token_seq", "item_id:token"]
    head = names if len(columns) == 3 else [names[0], names[2]]
    with (folder / f"{data.name}.{part.name.lower()}.inter").open("w") as file:
        file.write("\t".join(head) + "\n")
        file.writelines("\t".join(row) + "\n" for row in zip(*columns, strict=True))
