#!/usr/bin/env python3
"""Reference numbers for BPR on MovieLens-100k, trained and evaluated by RecBole 1.2.1.

    python bpr_recbole.py --data DIR --out results.json --raw-seeds 2 3

DIR holds ml-100k.inter as the RecBole wheel ships it (dataset_example/ml-100k).

Protocol: all 100,000 rows, no rating threshold, no k-core; per user 80/10/10 in
the order (time, item id); full ranking over all items except those the user has
in earlier parts (train for validation, train and validation for test); BPR with
64 factors, Adam at 1e-3, batches of 2048, one uniform negative per positive;
early stopping on Recall@20 of the validation part, patience 10 epochs.

RecBole sorts by a float32 timestamp, in which times up to 64 seconds apart can
be equal, and leaves equal times in the order of the file. So that the split does
not depend on that, the script first writes a copy of the file in which each
timestamp is the row's rank within its user. Sections of the result:

- reference: the protocol above;
- long: the same with more epochs, still stopping early;
- no_stopping: the same with all those epochs run, still testing the best epoch;
- raw_order: the protocol above, but RecBole gets the file as it is.

The script computes the split and the test metrics a second time without RecBole
and records how far the two agree.
"""

import argparse
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", category=FutureWarning)  # RecBole on newer pandas

import numpy as np
import pandas as pd
import recbole
import scipy
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer
from recbole.utils import init_seed

DATASET = "ml-100k-reference"  # not "ml-100k": RecBole would read its own bundled copy
PARTS = ("train", "valid", "test")
TOPK = (10, 20)
SHOWN_USERS = (1, 2, 3, 19, 405)
WHOLE_EVAL = 943 * 1683  # eval_batch_size that holds every user at once
DEFAULT_EVAL = 4096  # RecBole's default: two users per batch on this data


def read_rows(path):
    """Rows of the .inter file as int64 columns user, item, rating, time."""
    rows = pd.read_csv(path, sep="\t", dtype=np.int64, header=0)
    rows.columns = ["user", "item", "rating", "time"]
    return rows


def exact_order(rows):
    """Rows sorted by (user, time, item), with `rank`, the row number within the user."""
    rows = rows.sort_values(["user", "time", "item"]).reset_index(drop=True)
    rows["rank"] = rows.groupby("user").cumcount()
    return rows


def write_inter(rows, column, folder):
    """Write `rows` as a RecBole dataset whose timestamp is the given column."""
    target = Path(folder, DATASET)
    target.mkdir(parents=True)
    out = rows[["user", "item", "rating", column]]
    out.columns = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    out.to_csv(target / f"{DATASET}.inter", sep="\t", index=False)


def part_sizes(n):
    """RecBole's (train, valid, test) sizes for a user with n rows at 80/10/10."""
    valid = test = n // 10
    train = n - valid - test
    if n < 10:  # a part whose share is below one row takes one, test first
        if train > 1:
            test, train = test + 1, train - 1
        if train > 1:
            valid, train = valid + 1, train - 1
    return train, valid, test


def expected_split(rows):
    """The three parts as {user: set of items}, computed without RecBole."""
    parts = {name: {} for name in PARTS}
    for user, group in exact_order(rows).groupby("user"):
        items = group["item"].to_numpy()
        train, valid, _ = part_sizes(len(items))
        for name, part in zip(PARTS, np.split(items, [train, train + valid])):
            parts[name][user] = set(part.tolist())
    return parts


def recbole_split(loaders):
    """The three parts of RecBole's loaders as {user: set of items}, in original ids."""
    parts = {}
    for name, loader in zip(PARTS, loaders):
        dataset = loader.dataset
        users = dataset.id2token("user_id", dataset.inter_feat["user_id"].numpy()).astype(int)
        items = dataset.id2token("item_id", dataset.inter_feat["item_id"].numpy()).astype(int)
        by_user = defaultdict(set)
        for user, item in zip(users.tolist(), items.tolist()):
            by_user[user].add(item)
        parts[name] = dict(by_user)
    return parts


def compare_splits(rows, got):
    """How far RecBole's split agrees with `expected_split`, and a few users in full."""
    want = expected_split(rows)
    differing = [u for u in want["train"] if any(got[p].get(u) != want[p].get(u) for p in PARTS)]
    ordered = exact_order(rows)
    shown = {}
    for user in SHOWN_USERS:
        items = ordered.loc[ordered["user"] == user, "item"].tolist()
        sizes = {p: len(got[p].get(user, ())) for p in PARTS}
        in_order = {p: [i for i in items if i in got[p].get(user, ())] for p in PARTS}
        shown[user] = {
            "rows": len(items),
            **sizes,
            "train_last_items": in_order["train"][-3:],
            "valid_items": in_order["valid"],
            "test_items": in_order["test"],
        }
    return {
        "rows": {p: sum(map(len, got[p].values())) for p in PARTS},
        "users": {p: len(got[p]) for p in PARTS},
        "users_differing_from_exact_rule": len(differing),
        "rows_in_another_part": sum(
            len(want[p][u] - got[p].get(u, set())) for p in PARTS for u in differing
        ),
        "sample_users": shown,
    }


def make_config(folder, seed, epochs, patience=10, eval_batch_size=WHOLE_EVAL):
    """RecBole's configuration of one run."""
    return Config(
        model="BPR",
        dataset=DATASET,
        config_dict={
            "data_path": str(folder),
            "checkpoint_dir": str(Path(folder, "saved")),
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "TIME_FIELD": "timestamp",
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "user_inter_num_interval": "[0,inf)",
            "item_inter_num_interval": "[0,inf)",
            "eval_args": {
                "order": "TO",
                "group_by": "user",
                "split": {"RS": [0.8, 0.1, 0.1]},
                "mode": "full",
            },
            "embedding_size": 64,
            "epochs": epochs,
            "train_batch_size": 2048,
            "eval_batch_size": eval_batch_size,
            "learner": "adam",
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "train_neg_sample_args": {
                "distribution": "uniform",
                "sample_num": 1,
                "alpha": 1.0,
                "dynamic": False,
                "candidate_num": 0,
            },
            "stopping_step": patience,
            "metrics": ["Recall", "NDCG", "Hit", "MRR"],
            "topk": list(TOPK),
            "valid_metric": "Recall@20",
            "metric_decimal_place": 6,
            "seed": seed,
            "reproducibility": True,
            "use_gpu": False,
            "show_progress": False,
        },
    )


def own_metrics(model, dataset, parts):
    """Test metrics of the model, computed without RecBole's evaluator."""
    users, items = (dict(dataset.field2token_id[field]) for field in ("user_id", "item_id"))
    with torch.no_grad():
        scores = (model.user_embedding.weight @ model.item_embedding.weight.T).double().numpy()
    scores[:, 0] = -np.inf  # the padding item
    discount = 1 / np.log2(np.arange(2, max(TOPK) + 2))
    sums = defaultdict(float)
    for user, wanted in parts["test"].items():
        row = scores[users[str(user)]]
        seen = parts["train"][user] | parts["valid"].get(user, set())
        row[[items[str(i)] for i in seen]] = -np.inf
        best = np.argsort(-row, kind="stable")[: max(TOPK)]
        hits = np.isin(best, [items[str(i)] for i in wanted])
        for k in TOPK:
            top = hits[:k]
            sums[f"recall@{k}"] += top.sum() / len(wanted)
            sums[f"ndcg@{k}"] += (top @ discount[:k]) / discount[: min(k, len(wanted))].sum()
            sums[f"hit@{k}"] += float(top.any())
            sums[f"mrr@{k}"] += 1 / (top.argmax() + 1) if top.any() else 0.0
    return {name: total / len(parts["test"]) for name, total in sums.items()}


def timed_evaluation(trainer, folder, seed, eval_batch_size):
    """Best of three wall times in seconds of evaluating the test part."""
    config = make_config(folder, seed, 1, eval_batch_size=eval_batch_size)
    loader = data_preparation(config, create_dataset(config))[2]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        trainer.evaluate(loader, load_best_model=False)
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


def run(rows, order, seed, epochs, patience):
    """Train and test once; returns (the run's record, the comparison of the splits)."""
    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)  # RecBole writes its tensorboard log to the working directory
        try:
            if order == "exact":
                write_inter(exact_order(rows), "rank", folder)
            else:
                write_inter(rows, "time", folder)
            config = make_config(folder, seed, epochs, patience)
            init_seed(seed, config["reproducibility"])
            dataset = create_dataset(config)
            loaders = data_preparation(config, dataset)
            parts = recbole_split(loaders)
            init_seed(seed, config["reproducibility"])  # as RecBole's run_recbole does
            model = BPR(config, loaders[0].dataset)
            trainer = Trainer(config, model)

            train_seconds, curve = [], []
            train_epoch = trainer._train_epoch

            def timed_train_epoch(*args, **kwargs):
                start = time.perf_counter()
                loss = train_epoch(*args, **kwargs)
                train_seconds.append(time.perf_counter() - start)
                return loss

            trainer._train_epoch = timed_train_epoch
            start = time.perf_counter()
            best_score, best_valid = trainer.fit(
                loaders[0],
                loaders[1],
                verbose=False,
                callback_fn=lambda epoch, score: curve.append(float(score)),
            )
            fit_seconds = time.perf_counter() - start

            # Trainer.evaluate(load_best_model=True) loads with torch's default
            # weights_only=True, which refuses RecBole's checkpoints since torch 2.6.
            saved = torch.load(trainer.saved_model_file, map_location="cpu", weights_only=False)
            model.load_state_dict(saved["state_dict"])
            test = trainer.evaluate(loaders[2], load_best_model=False)
            test = {name: float(value) for name, value in test.items()}
            own = own_metrics(model, dataset, parts)
            record = {
                "seed": seed,
                "max_epochs": epochs,
                "epochs_run": len(curve),
                "stopped_early": trainer.cur_step > config["stopping_step"],
                "best_valid_epoch": saved["epoch"] + 1,
                "best_valid_recall@20": float(best_score),
                "valid": {name: float(value) for name, value in best_valid.items()},
                "test": test,
                "test_max_difference_from_own_metrics": max(
                    abs(test[name] - own[name]) for name in test
                ),
                "final_train_loss_sum": trainer.train_loss_dict[len(curve) - 1],
                "valid_recall@20_curve": curve,
                "seconds": {
                    "train_epoch_mean": round(statistics.mean(train_seconds), 4),
                    "train_epoch_median": round(statistics.median(train_seconds), 4),
                    "fit_total": round(fit_seconds, 1),
                    "test_evaluation": timed_evaluation(trainer, folder, seed, WHOLE_EVAL),
                    "test_evaluation_default_batch": timed_evaluation(
                        trainer, folder, seed, DEFAULT_EVAL
                    ),
                },
            }
            return record, compare_splits(rows, parts)
        finally:
            os.chdir(here)


def summary(runs):
    """Mean and sample standard deviation of the test metrics over runs."""
    table = {}
    for name in runs[0]["test"]:
        values = [r["test"][name] for r in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        table[name] = {"mean": round(statistics.mean(values), 6), "std": round(spread, 6)}
    return table


def dump(result, path):
    """Write the JSON, keeping lists of plain values on one line."""
    text = json.dumps(result, indent=1)
    one_line = re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m.group().split()), text)
    path.write_text(one_line + "\n")


def main():
    """Parse the arguments, run every section's seeds, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-100k.inter")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3, 5, 7, 11])
    parser.add_argument("--epochs", type=int, default=100, help="maximum; stopping applies")
    parser.add_argument("--long-seeds", type=int, nargs="*", default=[2])
    parser.add_argument("--long-epochs", type=int, default=300)
    parser.add_argument("--no-stopping-seeds", type=int, nargs="*", default=[])
    parser.add_argument("--raw-seeds", type=int, nargs="*", default=[], help="RecBole's own order")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    del sys.argv[1:]  # RecBole's Config would read them too
    torch.set_num_threads(args.threads)

    rows = read_rows(args.data / "ml-100k.inter")
    out = args.out.resolve()
    result = {
        "versions": {
            "python": platform.python_version(),
            "recbole": recbole.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "scipy": scipy.__version__,
        },
        "threads": args.threads,
        "rows": len(rows),
    }
    sections = (
        ("reference", "exact", args.epochs, 10, args.seeds),
        ("long", "exact", args.long_epochs, 10, args.long_seeds),
        ("no_stopping", "exact", args.long_epochs, args.long_epochs, args.no_stopping_seeds),
        ("raw_order", "raw", args.epochs, 10, args.raw_seeds),
    )
    for name, order, epochs, patience, seeds in sections:
        runs = []
        for seed in seeds:
            record, split = run(rows, order, seed, epochs, patience)
            runs.append(record)
            result[name] = {
                "order": order,
                "max_epochs": epochs,
                "stopping_step": patience,
                "test_summary": summary(runs),
                "split": split,
                "runs": runs,
            }
            dump(result, out)
            epochs_run, best = record["epochs_run"], record["best_valid_epoch"]
            print(name, seed, f"best {best} of {epochs_run}", record["test"], flush=True)


if __name__ == "__main__":
    main()
