"""A dataset that is ready for training."""

from dataclasses import dataclass

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
    """

    dataset: str
    task: str
    interactions: Interactions
    split: Split
    vocabulary: Vocabulary
    catalogue: Catalogue
