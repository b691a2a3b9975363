#!/usr/bin/env python3
"""Checkpoints as RecBole 1.2.1 writes them, and the scores that they give.

    python benchmarks/recbole_checkpoint.py --out checkpoints [MODEL ...]

Runs in an environment of its own (see recbole_requirements.txt). Made-up interactions are trained
on for one epoch by RecBole's own trainer; OUT/toy/toy.inter are the data, OUT/saved the
checkpoints, and OUT/MODEL.json the outer ids in RecBole's order with the scores of all items for
each query. `erase-ray import weights OUT/saved/... --inter OUT/toy/toy.inter` must give the same
scores.
"""

import argparse
import json
import random
from logging import getLogger
from pathlib import Path

import scipy.sparse
import torch

if not hasattr(scipy.sparse.dok_matrix, "_update"):  # newer SciPy than RecBole knows
    scipy.sparse.dok_matrix._update = lambda self, pairs: self._dict.update(pairs)

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_logger, init_seed

FILTERED = {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "[5,inf)"}
MODELS = {
    "BPR": {**FILTERED, "embedding_size": 4},
    "LightGCN": {**FILTERED, "n_layers": 2},
    "SGL": {**FILTERED, "n_layers": 3, "type": "ED"},
    "GRU4Rec": {},
    "NARM": {"hidden_size": 100},
    "SASRec": {"hidden_size": 32, "inner_size": 128, "n_heads": 2},
    "SRGNN": {"embedding_size": 100, "step": 1},
}
SEQUENTIAL = ("GRU4Rec", "NARM", "SASRec", "SRGNN")


def write_data(folder):
    draw = random.Random(3)
    rows = []
    for user in range(40):
        for place in range(draw.choice([2, 4, 8, 12, 20])):
            item = min(int(draw.expovariate(0.12)), 59)
            time = 1_600_000_000 + draw.randrange(10**6) * 256
            row = (f"u{user * 7 % 40:03d}", f"s{user}_{place // 6}", f"{item * 13 % 61:04d}")
            rows.append((*row, draw.choice([1, 2, 3, 4, 5]), time))
    draw.shuffle(rows)
    head = "user_id:token\tsession_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "toy").mkdir(parents=True, exist_ok=True)
    lines = [head, *("\t".join(map(str, row)) for row in rows)]
    (folder / "toy" / "toy.inter").write_text("\n".join(lines) + "\n")


def trained(name, folder):
    settings = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "epochs": 1,
        "show_progress": False,
        "use_gpu": False,
        "seed": 2,
        "train_batch_size": 64,
        "load_col": {"inter": ["user_id", "session_id", "item_id", "rating", "timestamp"]},
        "eval_args": {
            "split": {"RS": [0.8, 0.1, 0.1]},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        },
    }
    if name in SEQUENTIAL:
        settings["train_neg_sample_args"] = None
    config = Config(model=name, dataset="toy", config_dict=settings | MODELS[name])
    init_seed(config["seed"], True)
    init_logger(config)
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    init_seed(config["seed"], True)
    model = get_model(name)(config, train.dataset).to("cpu")
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    trainer.saved_model_file = str(folder / "saved" / f"model_{name}_seed_2_dataset_toy_best.pth")
    trainer.fit(train, valid, saved=True, show_progress=False)
    result = trainer.evaluate(test, load_best_model=False, show_progress=False)
    getLogger().info(f"test result: {result}")
    return model.eval(), dataset, test


@torch.no_grad()
def scores(name, model, dataset, test):
    if name not in SEQUENTIAL:
        users = torch.arange(1, dataset.user_num)
        return model.full_sort_predict(Interaction({"user_id": users})).view(len(users), -1)
    batch = next(iter(test))[0][:64]
    return model.full_sort_predict(batch).view(len(batch), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], metavar="MODEL")
    args = parser.parse_args()
    write_data(args.out)
    for name in args.models or MODELS:
        model, dataset, test = trained(name, args.out)
        found = {
            "users": list(dataset.field2id_token["user_id"]),
            "items": list(dataset.field2id_token["item_id"]),
            "scores": scores(name, model, dataset, test).tolist(),
        }
        (args.out / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
