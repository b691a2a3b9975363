#!/usr/bin/env python3
"""Test metrics of RecBole 1.2.1's models, trained and evaluated on split files of ours.

    python benchmarks/quality.py --storage runs --data FOLDER --write-split SPLIT   # ours
    python benchmarks/recbole_quality.py --split SPLIT --out FILE.json              # RecBole's

The second command runs in RecBole's own environment (recbole_requirements.txt). SPLIT holds
``cf.csv`` (user, item, part) and ``sessions.csv`` (sequence, item, part), rows in order, part 0
train, 1 valid, 2 test. They are handed to RecBole as its benchmark files (one file a part), so
both sides train on, select by and are tested with the very same rows:

- cf: full ranking over all items but those of earlier parts of the user;
- sessions: one example for each row that is not the first of its session, the at most 50 rows
  before it as ``item_id_list``, in the part of that row; full ranking, nothing masked.

RecBole is left as it is: a padding item is a class of the softmax and one more node, equal
values (rounded to 6 digits) count as a gain, LightGCN and SGL penalise norms that are not
squared, and SRGNN's step size stays as it is (RecBole has no schedules; the benchmark's, times 0.1
after every third epoch, would end the training of so small a sample before it has begun). One
thing is done to it: SciPy no longer has the ``dok_matrix._update`` that LightGCN calls, so it is
put back.

The script compares the loaded split with the files row by row and computes the test metrics a
second time without RecBole's evaluator. Runs that the output file already holds are not repeated.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore")  # RecBole on newer pandas, SciPy and torch

import numpy as np
import pandas as pd
import recbole
import scipy
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

DATASET = "quality"
PARTS = ("train", "valid", "test")
TOPK = (10, 20)
WINDOW = 50
NEGATIVES = {
    "distribution": "uniform",
    "sample_num": 1,
    "alpha": 1.0,
    "dynamic": False,
    "candidate_num": 0,
}
CF = {
    "epochs": 100,
    "train_batch_size": 2048,
    "eval_batch_size": 1 << 22,  # all users of MovieLens 100k at once
    "valid_metric": "Recall@20",
    "train_neg_sample_args": NEGATIVES,
    "embedding_size": 64,
}
SESSIONS = {
    "train_batch_size": 256,
    "eval_batch_size": 512,
    "valid_metric": "MRR@10",
    "train_neg_sample_args": None,
    "loss_type": "CE",
    "MAX_ITEM_LIST_LENGTH": WINDOW,
    "alias_of_item_id": ["item_id_list"],
}
MODELS = {
    "BPR": CF,
    "LightGCN": CF | {"n_layers": 2, "reg_weight": 1e-4},
    "SGL": CF
    | {
        "n_layers": 3,
        "reg_weight": 1e-4,
        "type": "ED",
        "drop_ratio": 0.1,
        "ssl_tau": 0.2,
        "ssl_weight": 0.1,
    },
    # the weights above drown the ranking on so dense a table; RecBole's own defaults do not
    "SGL-mild": CF
    | {
        "epochs": 60,
        "stopping_step": 20,
        "n_layers": 3,
        "reg_weight": 1e-4,
        "type": "ED",
        "drop_ratio": 0.1,
        "ssl_tau": 0.5,
        "ssl_weight": 0.05,
    },
    "GRU4Rec": SESSIONS
    | {
        "epochs": 100,
        "embedding_size": 64,
        "hidden_size": 128,
        "num_layers": 1,
        "dropout_prob": 0.3,
    },
    "NARM": SESSIONS
    | {
        "epochs": 30,
        "embedding_size": 64,
        "hidden_size": 100,
        "n_layers": 1,
        "dropout_probs": [0.25, 0.5],
    },
    "SASRec": SESSIONS
    | {
        "epochs": 60,
        "hidden_size": 32,
        "inner_size": 128,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dropout_prob": 0.5,
        "attn_dropout_prob": 0.5,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
    },
    "SRGNN": SESSIONS | {"epochs": 30, "embedding_size": 100, "step": 1, "weight_decay": 1e-5},
}


def restore_dok_update():
    """Put back the method of SciPy's dictionary matrix that LightGCN calls."""
    kind = scipy.sparse.dok_matrix
    if not hasattr(kind, "_update"):
        kind._update = lambda matrix, entries: matrix._dict.update(entries)


def kind_of(name):
    """RecBole's name of the model."""
    return name.split("-")[0]


def is_cf(name):
    """Whether the model reads users and items, not sessions."""
    return "item_id_list" not in MODELS[name].get("alias_of_item_id", ())


def cf_examples(folder):
    """(user, item, part), one a row."""
    rows = pd.read_csv(folder / "cf.csv")
    return list(rows[["user", "item", "part"]].itertuples(index=False, name=None))


def session_examples(folder):
    """(session, items before, item, part), one for each row with an earlier one."""
    rows = pd.read_csv(folder / "sessions.csv")
    examples = []
    for sequence, group in rows.groupby("sequence", sort=True):
        items, parts = group["item"].tolist(), group["part"].tolist()
        examples += [
            (sequence, tuple(items[max(0, end - WINDOW) : end]), items[end], parts[end])
            for end in range(1, len(items))
        ]
    return examples


def write_benchmark_files(examples, folder):
    """One .inter file a part."""
    target = folder / DATASET
    target.mkdir()
    by_user = len(examples[0]) == 3
    header = ["user_id:token", "item_id_list:token_seq", "item_id:token"]
    for number, part in enumerate(PARTS):
        lines = ["\t".join(header[::2] if by_user else header)]
        for *start, item, mark in examples:
            if mark == number:
                fields = [str(start[0]), *(" ".join(map(str, items)) for items in start[1:])]
                lines.append("\t".join([*fields, str(item)]))
        (target / f"{DATASET}.{part}.inter").write_text("\n".join(lines) + "\n")


def loaded_examples(loaders, by_user):
    """The examples that RecBole's loaders hold, in original ids."""
    loaded = []
    for number, loader in enumerate(loaders):
        data = loader.dataset
        columns = data.inter_feat
        users = data.id2token("user_id", columns["user_id"].numpy()).astype(int).tolist()
        items = data.id2token("item_id", columns["item_id"].numpy()).astype(int).tolist()
        if by_user:
            loaded += [(*pair, number) for pair in zip(users, items)]
            continue
        names = data.field2id_token["item_id"]
        lists, lengths = columns["item_id_list"].numpy(), columns["item_length"].numpy()
        windows = [tuple(names[row[:n]].astype(int).tolist()) for row, n in zip(lists, lengths)]
        loaded += [(*three, number) for three in zip(users, windows, items)]
    return loaded


def configuration(name, folder, seed, epochs):
    """RecBole's configuration of one run."""
    columns = ["user_id", "item_id"] if is_cf(name) else ["user_id", "item_id_list", "item_id"]
    asked = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "load_col": {"inter": columns},
        "benchmark_filename": list(PARTS),
        "user_inter_num_interval": "[0,inf)",
        "item_inter_num_interval": "[0,inf)",
        "eval_args": {"order": "TO", "split": {"RS": [0.8, 0.1, 0.1]}, "mode": "full"},
        "learner": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "stopping_step": 10,
        "metrics": ["Recall", "NDCG", "Hit", "MRR"],
        "topk": list(TOPK),
        "metric_decimal_place": 6,
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
    }
    asked |= MODELS[name] | ({"epochs": epochs} if epochs else {})
    return Config(model=kind_of(name), dataset=DATASET, config_dict=asked)


def own_queries(examples):
    """[what the model sees, items that are right, items that are masked], one a test query."""
    if len(examples[0]) == 4:
        return [((s, window), {item}, set()) for s, window, item, part in examples if part == 2]
    wanted, seen = defaultdict(set), defaultdict(set)
    for user, item, part in examples:
        (wanted if part == 2 else seen)[user].add(item)
    return [((user,), items, seen[user] - items) for user, items in wanted.items()]


def own_metrics(model, dataset, examples):
    """Test metrics of the model, computed without RecBole's data or evaluator."""
    users, items = (dict(dataset.field2token_id[field]) for field in ("user_id", "item_id"))
    discount = 1 / np.log2(np.arange(2, max(TOPK) + 2))
    sums, queries = defaultdict(float), own_queries(examples)
    model.eval()
    for start in range(0, len(queries), 512):
        block = queries[start : start + 512]
        columns = {"user_id": torch.tensor([users[str(shown[0])] for shown, _, _ in block])}
        if len(block[0][0]) == 2:
            windows = [[items[str(i)] for i in shown[1]] for shown, _, _ in block]
            longest = max(map(len, windows))
            filled = [window + [0] * (longest - len(window)) for window in windows]
            columns["item_id_list"] = torch.tensor(filled)
            columns["item_length"] = torch.tensor([len(window) for window in windows])
        with torch.no_grad():
            scores = model.full_sort_predict(Interaction(columns)).view(len(block), -1)
        scores = scores.double().numpy()
        scores[:, 0] = -np.inf  # the padding item
        for row, (_, wanted, masked) in zip(scores, block):
            row[[items[str(i)] for i in masked]] = -np.inf
            best = np.argsort(-row, kind="stable")[: max(TOPK)]
            hits = np.isin(best, [items[str(i)] for i in wanted])
            for k in TOPK:
                top = hits[:k]
                sums[f"recall@{k}"] += top.sum() / len(wanted)
                sums[f"ndcg@{k}"] += (top @ discount[:k]) / discount[: min(k, len(wanted))].sum()
                sums[f"hit@{k}"] += float(top.any())
                sums[f"mrr@{k}"] += 1 / (top.argmax() + 1) if top.any() else 0.0
    return {name: total / len(queries) for name, total in sums.items()}


def run(name, examples, folder, seed, epochs):
    """Train and test once; the run's record."""
    write_benchmark_files(examples, folder)
    config = configuration(name, folder, seed, epochs)
    init_seed(seed, config["reproducibility"])
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    if Counter(loaded_examples(loaders, is_cf(name))) != Counter(examples):
        raise SystemExit(f"RecBole has loaded other rows than the split files hold ({name})")
    init_seed(seed, config["reproducibility"])  # as RecBole's run_recbole does
    model = get_model(kind_of(name))(config, loaders[0].dataset)
    trainer = get_trainer(config["MODEL_TYPE"], kind_of(name))(config, model)
    curve, start = [], time.perf_counter()

    def note(epoch, score):
        curve.append(round(float(score), 6))
        print(name, seed, epoch, curve[-1], round(time.perf_counter() - start), flush=True)

    trainer.fit(loaders[0], loaders[1], verbose=False, callback_fn=note)
    seconds = time.perf_counter() - start
    # RecBole would load with torch's default weights_only=True, which refuses its checkpoints
    saved = torch.load(trainer.saved_model_file, map_location="cpu", weights_only=False)
    model.load_state_dict(saved["state_dict"])
    if saved.get("other_parameter") is not None:
        model.load_other_parameter(saved["other_parameter"])
    found = trainer.evaluate(loaders[2], load_best_model=False)
    test = {metric: float(value) for metric, value in found.items()}
    own = own_metrics(model, dataset, examples)
    return {
        "test": test,
        "test_largest_difference_from_own_metrics": max(abs(test[m] - own[m]) for m in own),
        "max_epochs": config["epochs"],
        "epochs": len(curve),
        "best_epoch": saved["epoch"],
        "valid_curve": curve,
        "seconds": round(seconds, 1),
    }


def update(path, name, seed, record):
    """Add a record to the output file; lists of plain values stay on one line."""
    result = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    result["origin"] = "benchmarks/recbole_quality.py --split SPLIT --out FILE"
    result["versions"] = {
        "python": platform.python_version(),
        "recbole": recbole.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "scipy": scipy.__version__,
    }
    result["settings"] = result.get("settings", {}) | {name: MODELS[name]}
    result["runs"].setdefault(name, {})[str(seed)] = record
    text = json.dumps(result, indent=1)
    path.write_text(re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m.group().split()), text) + "\n")


def main():
    """Parse the arguments, run every model with every seed, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", type=Path, required=True, help="folder of the split files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file, made or added to")
    parser.add_argument("--only", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3, 5, 7, 11])
    parser.add_argument("--epochs", type=int, default=0, help="at most; 0: as in the benchmark")
    args = parser.parse_args()
    del sys.argv[1:]  # RecBole's Config would read them too
    torch.set_num_threads(1)
    restore_dok_update()
    out, split, here = args.out.resolve(), args.split.resolve(), os.getcwd()
    for seed in args.seeds:
        for name in args.only:
            done = json.loads(out.read_text())["runs"] if out.exists() else {}
            if str(seed) in done.get(name, {}):
                continue
            examples = cf_examples(split) if is_cf(name) else session_examples(split)
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)  # RecBole writes logs to the working directory
                try:
                    record = run(name, examples, Path(folder), seed, args.epochs)
                finally:
                    os.chdir(here)
            update(out, name, seed, record)
            print(name, seed, f"best {record['best_epoch']} of {record['epochs']}", record["test"])


if __name__ == "__main__":
    main()
