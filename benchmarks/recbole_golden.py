#!/usr/bin/env python3
"""Golden files for tests/golden: what RecBole 1.2.1 computes on tiny data.

    python benchmarks/recbole_golden.py --out tests/golden

Runs in an environment of its own (see recbole_requirements.txt). For each model RecBole's own
class is built for 12 users and 15 items with vectors of length 8, without dropout. Recorded are

    before.NAME, after.NAME   its weights, before and after 20 steps of Adam (rate 1e-3)
    batch.*                   the batches of these steps, one a row
    losses                    the loss of each batch, before its step
    scores, scores_after      scores of all items for the first batch, at both weights
    edges.*, views            training edges; edges that SGL's views keep, drawn anew every 10 steps

RecBole's id 0 is padding. It is left out everywhere, so that its id i is i-1 here: row 0 of the id
tables, column 0 of the scores, and the class 0 of the softmax and of SGL's contrast, for which one
line of the classes is overridden below. Initial weights are moved by N(0, 0.3^2), so that no bias
is 0 and no scale is 1.
"""

import argparse
import datetime
import json
import platform
from pathlib import Path

import numpy as np
import recbole
import scipy.sparse
import torch
from recbole.model.general_recommender import BPR, SGL, LightGCN
from recbole.model.sequential_recommender import NARM, SRGNN, GRU4Rec, SASRec
from safetensors.torch import save_file

NUM_USERS, NUM_ITEMS, WINDOW = 12, 15, 6
NUM_STEPS, BATCH, EPOCH = 20, 16, 10
SESSION_LENGTHS = (1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 8, 11)
FIELDS = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "NEG_PREFIX": "neg_",
    "LIST_SUFFIX": "_list",
    "ITEM_LIST_LENGTH_FIELD": "item_length",
    "MAX_ITEM_LIST_LENGTH": WINDOW,
    "device": torch.device("cpu"),
    "loss_type": "CE",
    "embedding_size": 8,
}
GRAPH = {"reg_weight": 0.05, "require_pow": False}
SASREC = {
    "n_layers": 2,
    "n_heads": 2,
    "hidden_size": 8,
    "inner_size": 32,
    "hidden_dropout_prob": 0.0,
    "attn_dropout_prob": 0.0,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
}


class TinyData:
    """What RecBole's models ask of a dataset; ids from 1."""

    uid_field, iid_field = "user_id", "item_id"

    def __init__(self, rng):
        pairs = [(u, i) for u in range(NUM_USERS) for i in range(NUM_ITEMS)]
        chosen = rng.choice(len(pairs), 62, replace=False)
        edges = sorted(pairs[k] for k in chosen)
        edges += [edges[5], edges[40]]  # two pairs that come twice
        self.edges = np.array(edges) + 1
        user, item = (torch.from_numpy(column.copy()) for column in self.edges.T)
        self.inter_feat = {"user_id": user, "item_id": item}

    def num(self, field):
        return 1 + (NUM_USERS if field == "user_id" else NUM_ITEMS)

    def inter_matrix(self, form):
        shape = (NUM_USERS + 1, NUM_ITEMS + 1)
        return scipy.sparse.coo_matrix((np.ones(len(self.edges)), tuple(self.edges.T)), shape)

    def batch(self, rng):
        """Edges with an item that the user does not have."""
        edges = self.edges[rng.integers(len(self.edges), size=BATCH)]
        have = {tuple(edge) for edge in self.edges}
        negative = [
            rng.choice([i for i in range(1, NUM_ITEMS + 1) if (u, i) not in have])
            for u in edges[:, 0]
        ]
        return {"user_id": edges[:, 0], "item_id": edges[:, 1], "neg_item_id": np.array(negative)}


class TinySessions(TinyData):
    """Windows of sessions, filled up on the right with 0; some items come twice in a row."""

    def __init__(self, rng):
        super().__init__(rng)
        self.windows, self.lengths, self.targets = [], [], []
        for length in SESSION_LENGTHS:
            items = rng.integers(1, NUM_ITEMS + 1, size=length)
            items[4:5] = items[3:4]
            items[6:7] = items[2:3]
            for end in range(1, length):
                window = items[max(0, end - WINDOW) : end]
                self.windows.append(np.pad(window, (0, WINDOW - len(window))))
                self.lengths.append(len(window))
                self.targets.append(items[end])

    def batch(self, rng):
        chosen = rng.integers(len(self.windows), size=BATCH)
        columns = (self.windows, self.lengths, self.targets)
        names = ("item_id_list", "item_length", "item_id")
        return {n: np.array(c)[chosen] for n, c in zip(names, columns, strict=True)}


class WithoutPadding:
    """RecBole's cross entropy over the items alone."""

    def calculate_loss(self, interaction):
        session = self.forward(interaction["item_id_list"], interaction["item_length"])
        logits = session @ self.item_embedding.weight[1:].T
        return self.loss_fct(logits, interaction["item_id"] - 1)


class RecordedSGL(SGL):
    """SGL that keeps what it draws, with its contrast over the users and items alone."""

    def rand_sample(self, high, size=None, replace=True):
        self.drawn = [*getattr(self, "drawn", []), super().rand_sample(high, size, replace)]
        return self.drawn[-1]

    def calc_ssl_loss(self, user, item, *tables):
        return super().calc_ssl_loss(user - 1, item - 1, *(table[1:] for table in tables))


def without_padding(kind):
    return type(kind.__name__, (WithoutPadding, kind), {})


MODELS = {
    "bpr": (BPR, TinyData, {}),
    "lightgcn": (LightGCN, TinyData, {"n_layers": 2, **GRAPH}),
    "lightgcn_squared": (LightGCN, TinyData, {"n_layers": 2, **GRAPH, "require_pow": True}),
    "sgl": (
        RecordedSGL,
        TinyData,
        {
            "n_layers": 3,
            "type": "ED",
            "drop_ratio": 0.1,
            "ssl_tau": 0.2,
            "ssl_weight": 0.1,
            "reg_weight": 0.05,
        },
    ),
    "gru4rec": (
        without_padding(GRU4Rec),
        TinySessions,
        {"hidden_size": 12, "num_layers": 1, "dropout_prob": 0.0},
    ),
    "narm": (
        without_padding(NARM),
        TinySessions,
        {"hidden_size": 12, "n_layers": 1, "dropout_probs": [0.0, 0.0]},
    ),
    "sasrec": (without_padding(SASRec), TinySessions, SASREC),
    "srgnn": (without_padding(SRGNN), TinySessions, {"step": 1, "weight_decay": 1e-2}),
}


def class_name(name):
    return MODELS[name][0].__name__.removeprefix("Recorded")


class Settings(dict):
    """RecBole's configuration: what is not set is None."""

    def __missing__(self, key):
        return None


def patch_scipy():
    """LightGCN calls a method of dok_matrix that SciPy has renamed since."""
    if not hasattr(scipy.sparse.dok_matrix, "_update"):
        scipy.sparse.dok_matrix._update = lambda self, pairs: self._dict.update(pairs)


def record(name, seed):
    """The tensors of one model and the settings it was built with."""
    kind, data_kind, own = MODELS[name]
    torch.manual_seed(seed)
    np.random.seed(seed)
    rng = np.random.default_rng(seed)
    data, settings = data_kind(rng), Settings({**FIELDS, **own})
    model = kind(settings, data)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    batches = [data.batch(rng) for _ in range(NUM_STEPS)]
    tensors = batch_tensors(batches)
    tensors |= weights(model, "before") | {"scores": scores(model, batches[0])}
    tensors["losses"] = train(model, batches, settings["weight_decay"] or 0.0)
    tensors |= weights(model, "after") | {"scores_after": scores(model, batches[0])}
    if data_kind is TinyData:
        edges = torch.from_numpy(data.edges - 1)
        tensors |= {"edges.user": edges[:, 0], "edges.item": edges[:, 1]}
    if name == "sgl":
        views = torch.from_numpy(np.stack(model.drawn))
        tensors["views"] = views.view(NUM_STEPS // EPOCH, 2, -1)
    return {key: value.contiguous() for key, value in tensors.items()}, own


def train(model, batches, weight_decay):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=weight_decay)
    losses = []
    for step, batch in enumerate(batches):
        if step % EPOCH == 0:
            model.train()
        loss = model.calculate_loss(tensors_of(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def scores(model, batch):
    model.eval()
    with torch.no_grad():
        return model.full_sort_predict(tensors_of(batch)).view(BATCH, -1)[:, 1:]


def weights(model, when):
    """All weights; the id tables without the row of the padding."""
    tables = ("user_embedding.weight", "item_embedding.weight")
    return {
        f"{when}.{name}": value[1:].clone() if name in tables else value.clone()
        for name, value in model.state_dict().items()
    }


def tensors_of(batch):
    return {name: torch.from_numpy(column) for name, column in batch.items()}


def batch_tensors(batches):
    """The batches below each other, in ids from 0; what is behind a window is 0."""
    columns = {name: torch.from_numpy(np.stack([b[name] for b in batches])) for name in batches[0]}
    ids = {name: column for name, column in columns.items() if name != "item_length"}
    shifted = {f"batch.{name}": (column - 1).clamp(min=0) for name, column in ids.items()}
    lengths = columns.get("item_length")
    return shifted if lengths is None else {**shifted, "batch.item_length": lengths}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    patch_scipy()
    versions = {
        "recbole": recbole.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
    }
    for name in arguments.models:
        tensors, own = record(name, arguments.seed)
        notes = {
            "origin": f"PyPI recbole {recbole.__version__}, class {class_name(name)}",
            "how": f"benchmarks/recbole_golden.py --models {name} --seed {arguments.seed}",
            "padding": "id 0 left out of tables, scores, softmax and contrast; ids from 0",
            "settings": json.dumps(own),
            "versions": json.dumps(versions),
            "date": datetime.date.today().isoformat(),
        }
        path = arguments.out / f"{name}.safetensors"
        save_file(tensors, path, metadata=notes)
        path.chmod(0o644)
        print(name, {key: tuple(value.shape) for key, value in tensors.items() if "." not in key})


if __name__ == "__main__":
    main()
