#!/usr/bin/env python3
"""RecBole's side of models.py: trains and evaluates on request, one model a process.

    python benchmarks/recbole_speed.py '{"folder": ..., "dataset": ..., "model": "BPR", ...}'

Runs in an environment of its own (see recbole_requirements.txt). Requests come as lines of JSON on
the standard input, answers go as lines of JSON that begin with ``@`` to the standard output:

    {"do": "train"}                      one epoch of RecBole's Trainer
    {"do": "evaluate", "batch": 4096}    its full-ranking evaluation of the test file
"""

import itertools
import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import scipy.sparse
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed


class Timed:
    """One model of RecBole with its data."""

    def __init__(self, spec):
        self.config = Config(spec["model"], spec["dataset"], config_dict=spec["config"])
        init_seed(2, self.config["reproducibility"])
        self.train_data, _, self.test_data = data_preparation(
            self.config, create_dataset(self.config)
        )
        self.model = get_model(spec["model"])(self.config, self.train_data._dataset)
        self.model.to(self.config["device"])
        self.trainer = Trainer(self.config, self.model)
        self.trainer.eval_collector.data_collect(self.train_data)
        self.max_steps = spec["max_steps"] or len(self.train_data)
        self.loaders = {}

    def facts(self):
        columns = self.train_data._dataset.inter_feat
        windows = "item_id_list"
        return {
            "samples": len(self.train_data._dataset),
            "items": self.test_data._dataset.item_num - 1,
            "queries": self.test_data.sample_size,
            "width": columns[windows].shape[1] if windows in columns else 0,
            "device": str(self.config["device"]),
            "threads": torch.get_num_threads(),
        }

    def train(self):
        loss = self.trainer._train_epoch(self, 0, show_progress=False)
        return {"loss": loss / min(self.max_steps, len(self.train_data))}

    def __iter__(self):
        return itertools.islice(self.train_data, self.max_steps)

    def evaluate(self, batch):
        # propagated tables may come from an earlier call
        self.model.restore_user_e = self.model.restore_item_e = None
        found = self.trainer.evaluate(self._loader(batch), load_best_model=False)
        return {"metrics": {name: float(value) for name, value in found.items()}}

    def _loader(self, batch):
        if batch not in self.loaders:
            self.config["eval_batch_size"] = batch
            data, sampler = self.test_data._dataset, self.test_data._sampler
            self.loaders[batch] = FullSortEvalDataLoader(self.config, data, sampler)
        return self.loaders[batch]


def timed(call, *arguments):
    synchronize()
    start, start_cpu = time.perf_counter(), time.process_time()
    answer = call(*arguments)
    synchronize()
    spent = {"wall": time.perf_counter() - start, "cpu": time.process_time() - start_cpu}
    return {**spent, **answer}


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def say(answer):
    print("@" + json.dumps(answer), flush=True)


def main():
    spec = json.loads(sys.argv[1])
    del sys.argv[1:]  # RecBole's Config would read them too
    os.chdir(spec["folder"])  # RecBole writes logs and checkpoints to where it is
    torch.set_num_threads(spec["threads"])
    if not hasattr(scipy.sparse.dok_matrix, "_update"):  # renamed in SciPy; LightGCN calls it
        scipy.sparse.dok_matrix._update = lambda self, pairs: self._dict.update(pairs)
    model = Timed(spec)
    say(model.facts())
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "train":
            say(timed(model.train))
        else:
            say(timed(model.evaluate, request["batch"]))


if __name__ == "__main__":
    main()
