"""How much of the catalogue is shown to anybody."""

import numpy as np

from erase_ray.metrics._base import METRICS, Aggregate, Answers


@METRICS.register
class Coverage(Aggregate):
    """Share of the items that are among the first k of at least one query.

    Paper: Ge, Delgado-Battenfeld and Jannach: "Beyond accuracy: evaluating recommender systems by
    coverage and serendipity", RecSys 2010 (catalogue coverage).
    """

    def summary(self, answers: Answers, k: int) -> np.ndarray:
        """bool, shape ``(I,)``: True for items that are shown."""
        # one place more, for the -1 behind the last item
        shown_I = np.zeros(answers.num_items + 1, bool)
        shown_I[answers.ranked_QK[:, :k]] = True
        return shown_I[:-1]

    def merged(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """What is shown in either."""
        return one | other

    def value(self, summary: np.ndarray) -> float:
        """From 0 to 1."""
        return float(summary.mean())
