"""Checkpoints as RecBole writes them, made up from tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).parents[2] / "golden"
TABLES = ("user_embedding.weight", "item_embedding.weight")
PADDING = 1e6
"""What stands in rows and columns of the padding: nothing of it may come through."""


def checkpoint(path: Path, state: Mapping[str, Tensor], config: dict[str, Any] | None = None):
    """A file with the keys of RecBole's, without the classes."""
    content = {
        "config": config or {},
        "epoch": 3,
        "cur_step": 0,
        "best_valid_score": 0.5,
        "state_dict": dict(state),
        "other_parameter": {},
        "optimizer": {},
    }
    torch.save(content, path, pickle_protocol=4)
    return path


def padded(table: Tensor) -> Tensor:
    """With a row for the padding in front."""
    return torch.cat([torch.full((1, *table.shape[1:]), PADDING), table])


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """RecBole's weights, all tensors of the golden file, and its notes."""
    with safe_open(GOLDEN / f"{name}.safetensors", framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        notes = file.metadata()
    state = {k.removeprefix("before."): v for k, v in tensors.items() if k.startswith("before.")}
    state = {name: padded(v) if name in TABLES else v for name, v in state.items()}
    return state, tensors, notes
