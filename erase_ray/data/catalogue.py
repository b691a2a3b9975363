"""What is known about the items: a label for the eye and the sensitive categories."""

from dataclasses import dataclass

import numpy as np

from erase_ray.data.names import Names
from erase_ray.errors import ScenarioError


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Labels and category membership of all items.

    Args:
        labels: Title or description of each item, position = inner item id.
        categories: For each category a bool array of shape ``(I,)``.
    """

    labels: Names
    categories: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", Names.of(self.labels))

    def members(self, category: str) -> np.ndarray:
        """bool, shape ``(I,)``: True where the item belongs to ``category``.

        Raises:
            ScenarioError: The dataset has no such category, or no item is in it.
        """
        if category not in self.categories:
            known = ", ".join(sorted(self.categories)) or "none"
            raise ScenarioError(f"no category is called '{category}'. Known: {known}")
        if not self.categories[category].any():
            raise ScenarioError(f"category '{category}' is empty: no item of the dataset is in it")
        return self.categories[category]
