"""What a prepared dataset looks like, in numbers: sizes, parts, spreads, categories, samples."""

from dataclasses import dataclass

import numpy as np
import torch

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.data.split import Part

LENGTHS = {
    "cf": ("interactions a user",),
    "session_based": ("interactions a session", "sessions a user"),
    "next_basket": ("items a basket", "baskets a user"),
}
"""The lengths that matter for each task."""


@dataclass(frozen=True, eq=False)
class CategorySummary:
    """How large a sensitive category is.

    Args:
        name: Of the category.
        num_items: Its items.
        num_rows: Interactions with one of them.
        num_users: Users with such an interaction.
        sample: Outer id and label of some of its items, drawn by seed.
    """

    name: str
    num_items: int
    num_rows: int
    num_users: int
    sample: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Description:
    """Numbers for the eye.

    Args:
        dataset: Name of the dataset.
        task: Name of its task.
        sizes: Number of rows, users, items and sequences (and of baskets).
        parts: Rows of train, valid and test.
        popularity: Interactions of each item, most first, shape ``(I,)``.
        lengths: Lengths of each kind that :data:`LENGTHS` lists for the task.
        categories: By name.
    """

    dataset: str
    task: str
    sizes: dict[str, int]
    parts: dict[str, int]
    popularity: np.ndarray
    lengths: dict[str, np.ndarray]
    categories: tuple[CategorySummary, ...]

    def top_share(self, share: float) -> float:
        """Share of the rows (0 to 1) that the most popular ``share`` of the items has."""
        number = max(1, round(share * len(self.popularity)))
        return float(self.popularity[:number].sum() / max(self.popularity.sum(), 1))


def describe(prepared: Prepared, sample_size: int = 10, seed: int = 0) -> Description:
    """The description of a prepared dataset.

    Args:
        prepared: Ready for training.
        sample_size: Items shown of each category; fewer where it has fewer.
        seed: Draws the samples; an item's place does not depend on the other items.
    """
    table = prepared.interactions
    counts_I = np.bincount(table.item, minlength=table.num_items)
    lengths = _lengths(table, prepared.task)
    return Description(
        dataset=prepared.dataset,
        task=prepared.task,
        sizes=_sizes(table, lengths),
        parts={part.name.lower(): int((prepared.split.marks == part).sum()) for part in Part},
        popularity=np.sort(counts_I)[::-1],
        lengths=lengths,
        categories=tuple(
            _summary(prepared, name, sample_size, seed)
            for name in sorted(prepared.catalogue.categories)
        ),
    )


def spread(values: np.ndarray) -> dict[str, float]:
    """Smallest, quantiles, mean and largest of some lengths; NaN where there are none."""
    names = ("min", "25 %", "median", "75 %", "90 %", "99 %", "max")
    if not len(values):
        return dict.fromkeys([*names, "mean"], float("nan"))
    at = np.quantile(values, (0, 0.25, 0.5, 0.75, 0.9, 0.99, 1), method="inverted_cdf")
    return dict(zip(names, at.tolist(), strict=True)) | {"mean": float(values.mean())}


def _sizes(table: Interactions, lengths: dict[str, np.ndarray]) -> dict[str, int]:
    sizes = {"interactions": len(table), "users": table.num_users, "items": table.num_items}
    if "sessions a user" in lengths:
        sizes["sessions"] = table.num_sequences
    if "items a basket" in lengths:
        sizes["baskets"] = len(lengths["items a basket"])
    return sizes


def _lengths(table: Interactions, task: str) -> dict[str, np.ndarray]:
    """Each kind of length, shape ``(number of users, sessions or baskets,)``."""
    sequence_rows = np.bincount(table.sequence, minlength=table.num_sequences)
    first = np.append(0, np.cumsum(sequence_rows)[:-1]) if len(sequence_rows) else sequence_rows
    owners = table.user[first[sequence_rows > 0]]
    starts = run_starts(table.sequence, table.step)
    found = {
        "interactions a user": np.bincount(table.user, minlength=table.num_users),
        "interactions a session": sequence_rows,
        "sessions a user": np.bincount(owners, minlength=table.num_users),
        "items a basket": run_sizes(starts, len(table)),
        "baskets a user": np.bincount(table.user[starts], minlength=table.num_users),
    }
    return {kind: found[kind] for kind in LENGTHS.get(task, LENGTHS["cf"])}


def _summary(prepared: Prepared, name: str, sample_size: int, seed: int) -> CategorySummary:
    items_I, table = prepared.catalogue.categories[name], prepared.interactions
    named_R = items_I[table.item]
    members = np.flatnonzero(items_I)
    draw = seeds.derive(seed, "describe", name)
    order = seeds.order(draw, torch.from_numpy(members.astype(np.int64))).numpy()
    shown = members[np.sort(order[:sample_size])]
    outer, labels = prepared.vocabulary.items, prepared.catalogue.labels
    return CategorySummary(
        name=name,
        num_items=len(members),
        num_rows=int(named_R.sum()),
        num_users=len(np.unique(table.user[named_R])),
        sample=tuple((str(outer[item]), str(labels[item])) for item in shown.tolist()),
    )
