"""Batches of baskets from nested lists, for the tests of the basket models."""

import json
from pathlib import Path
from typing import Any

import torch

from erase_ray.tasks._batches import BasketBatch

GOLDEN = Path(__file__).parents[2] / "golden"


def batch_of(histories: list[list[list[int]]], targets: list[list[int]]) -> BasketBatch:
    """One example for each history, a list of baskets, and the basket behind it."""
    baskets = [(b, basket) for b, history in enumerate(histories) for basket in history]
    wanted = [(b, item) for b, target in enumerate(targets) for item in target]
    return BasketBatch(
        item_M=torch.tensor([item for _, basket in baskets for item in basket]),
        basket_M=torch.tensor([k for k, (_, basket) in enumerate(baskets) for _ in basket]),
        owner_K=torch.tensor([b for b, _ in baskets]),
        num_baskets_B=torch.tensor([len(history) for history in histories]),
        target_T=torch.tensor([item for _, item in wanted]),
        target_owner_T=torch.tensor([b for b, _ in wanted]),
    )


def some_users(
    num_users: int, num_items: int, longest: int, seed: int
) -> tuple[list[list[list[int]]], list[list[int]]]:
    """Random histories of 1 to ``longest`` baskets with repeats, and targets."""
    rng = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=rng))

    def basket(high: int) -> list[int]:
        return sorted(torch.randperm(num_items, generator=rng)[: draw(1, high)].tolist())

    histories = [[basket(4) for _ in range(draw(1, longest))] for _ in range(num_users)]
    return histories, [basket(3) for _ in range(num_users)]


def golden(name: str) -> dict[str, Any]:
    """A case that was worked out by hand."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def load(model: torch.nn.Module, weights: dict[str, Any]) -> None:
    """Give a model all its parameters and buffers, which are lists by name."""
    state = model.state_dict()
    assert set(weights) == {name for name in state if not name.endswith("num_batches_tracked")}
    with torch.no_grad():
        for name, values in weights.items():
            state[name].copy_(torch.tensor(values, dtype=torch.float64).view_as(state[name]))
