"""A made-up folder of ERASE's artefacts, and its data prepared here."""

import json
import pickle
from pathlib import Path

import torch
from their_files import checkpoint, padded

from erase_ray.data.prepared import Prepared
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.preparing import RawFiles, read_and_prepare
from erase_ray.experiment.store import Store

from erase_ray.datasets import DATASETS, Scratch  # isort: skip

UNLEARNED = (
    "model_BPR_seed_2_dataset_toy_unlearning_algorithm_scif_unlearning_fraction_0.0001"
    "_unlearning_sample_selection_method_sensitive_category_meat_unlearn_epoch_1"
    "_retrain_checkpoint_idx_to_match_1.pth"
)
BASE = "model_BPR_seed_2_dataset_toy_best.pth"
FORGET = "toy_unlearn_pairs_sensitive_category_meat_seed_2_unlearning_fraction_0.0001"
HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
PAIRS = [(f"u{user}", f"{item}") for user in (10, 2, 1) for item in (user, 7, 8, 9, 7)]
"""Each user has 7 twice, at two times."""
MEAT = ("7", "9")


def inter(pairs) -> str:
    lines = [f"{user}\t{item}\t5\t{1000.0 + n}\n" for n, (user, item) in enumerate(pairs)]
    return HEAD + "".join(lines)


def bpr(num_users: int = 3, num_items: int = 6) -> dict:
    generator = torch.Generator().manual_seed(1)
    sizes = {"user_embedding.weight": num_users, "item_embedding.weight": num_items}
    return {n: padded(torch.randn(size, 4, generator=generator)) for n, size in sizes.items()}


def make(folder: Path) -> Path:
    """Write all kinds of files."""
    saved, data = folder / "saved", folder / "dataset" / "toy"
    for place in (saved, data):
        place.mkdir(parents=True)
    checkpoint(saved / BASE, bpr(), {"model": "BPR"})
    checkpoint(saved / UNLEARNED, bpr(), {"model": "BPR"})
    (data / "toy.inter").write_text(inter(PAIRS))
    (data / f"{FORGET}.inter").write_text(inter([("u10", "7"), ("u2", "9"), ("u2", "77")]))
    (data / f"{FORGET}.json").write_text(json.dumps(["u1", "u10"]))
    (data / f"{FORGET}.pkl").write_bytes(pickle.dumps(["u1", "u99"]))
    (data / "sensitive_asins_meat.txt").write_text("\n".join(MEAT))
    (folder / "run.log").write_text(
        f"Saving current: saved/{BASE}\ntest result: OrderedDict([('recall@10', 0.5)])\n"
        f"loaded saved/{UNLEARNED}\ntest result: OrderedDict([('recall@10', 0.25)])\n"
    )
    (folder / "notes.txt").write_text("hello")
    return folder


def prepare(folder: Path, store: Store) -> Prepared:
    """Its interactions as the dataset ``table`` in a store."""
    settings = {
        "interactions": "toy.inter",
        "categories": {"meat": {"file": "sensitive_asins_meat.txt"}},
    }
    part = Part.resolved(DATASETS, "table", settings)
    names = ("toy.inter", "sensitive_asins_meat.txt")
    raw = RawFiles({name: folder / "dataset" / "toy" / name for name in names}, {})
    data = read_and_prepare(part, raw, Scratch(folder.parent / "scratch"))
    store.put_data(data, data_key(part))
    return data
