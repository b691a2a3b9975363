"""A dataset that is ready for training."""

from dataclasses import dataclass, field

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that is made once from the raw files of a dataset.

    Args:
        dataset: Name of the dataset.
        task: Name of the task that it serves.
        interactions: The full table.
        split: Mark of each row.
        vocabulary: Outer ids.
        catalogue: Labels and categories of the items.
        counts: Rows after each step of cleaning, in order.
        raw: SHA-256 of each raw file that it was made from, by name; empty for made data.
    """

    dataset: str
    task: str
    interactions: Interactions
    split: Split
    vocabulary: Vocabulary
    catalogue: Catalogue
    counts: dict[str, int] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
