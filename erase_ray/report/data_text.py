"""The description of a prepared dataset as plain text."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from erase_ray.data.description import CategorySummary, Description, spread
from erase_ray.report.numbers import significant

TOP_SHARES = (0.01, 0.1, 0.2)


def data_text(description: Description, counts: Mapping[str, int] | None = None) -> str:
    """Sizes, cleaning, split, spreads, categories and samples, block by block.

    Args:
        description: What to show.
        counts: Rows after each cleaning step, in order, if they are known.
    """
    blocks = [
        [f"{description.dataset} ({description.task})"],
        size_lines(description),
        cleaning_lines(counts or {}),
        part_lines(description),
        _spreads(description),
        _categories(description),
        *(_sample(category) for category in description.categories),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def table(
    rows: Sequence[Sequence[str]],
    head: Sequence[str] | None = None,
    left: Sequence[str] = (),
) -> list[str]:
    """Lines with aligned columns.

    Args:
        rows: Texts of each row.
        head: Names of the columns, if they are to be shown.
        left: Names of the columns that are flush left besides the first; the others are right.
    """
    texts = [list(head), *map(list, rows)] if head else [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    names = head or [""] * len(widths)
    sides = ["<" if not place or name in left else ">" for place, name in enumerate(names)]
    return [
        "  ".join(
            f"{text:{side}{width}}" for text, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in texts
    ]


def percent(part: float, whole: float) -> str:
    """``part`` of ``whole`` in percent; a dash if the whole is nothing."""
    return f"{significant(100 * part / whole)} %" if whole else "-"


def size_lines(description: Description) -> list[str]:
    """Number of interactions, users, items and so on."""
    return table([[name, f"{count:,}"] for name, count in description.sizes.items()])


def cleaning_lines(counts: Mapping[str, int]) -> list[str]:
    """Rows after each cleaning step; nothing where they are not known."""
    if not counts:
        return []
    whole = counts.get("read") or next(iter(counts.values()))
    rows = [[name, f"{count:,}", percent(count, whole)] for name, count in counts.items()]
    return table(rows, ["rows after each step", "rows", "share"])


def part_lines(description: Description) -> list[str]:
    """Rows of train, valid and test."""
    whole = description.sizes["interactions"]
    rows = [[name, f"{size:,}", percent(size, whole)] for name, size in description.parts.items()]
    return table(rows, ["split", "rows", "share"])


def _spreads(description: Description) -> list[str]:
    spreads = {"interactions an item": description.popularity, **description.lengths}
    rows = [[name, *_spread_texts(values)] for name, values in spreads.items()]
    lines = table(rows, ["spread", *spread(description.popularity)])
    tops = ", ".join(
        f"top {share:.0%} {percent(description.top_share(share), 1)}" for share in TOP_SHARES
    )
    return [*lines, f"rows of the most popular items: {tops}"]


def _spread_texts(values: np.ndarray) -> list[str]:
    found = spread(values)
    mean = found.pop("mean")
    return [*("-" if math.isnan(v) else f"{v:,.0f}" for v in found.values()), significant(mean)]


def _categories(description: Description) -> list[str]:
    if not description.categories:
        return ["no sensitive categories"]
    sizes = description.sizes
    rows = []
    for category in description.categories:
        row = [category.name]
        for count, of in (
            (category.num_items, "items"),
            (category.num_rows, "interactions"),
            (category.num_users, "users"),
        ):
            row += [f"{count:,}", percent(count, sizes[of])]
        rows.append(row)
    return table(rows, ["category", "items", "share", "rows", "share", "users", "share"])


def _sample(category: CategorySummary) -> list[str]:
    if not category.sample:
        return []
    head = f"{len(category.sample)} of the {category.num_items:,} items of '{category.name}'"
    width = max(len(outer) for outer, _ in category.sample)
    return [head, *(f"  {outer:<{width}}  {_line(label)}" for outer, label in category.sample)]


def _line(label: str) -> str:
    text = " ".join(label.split())
    return text if len(text) <= 100 else f"{text[:99]}…"
