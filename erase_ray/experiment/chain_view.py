"""A dataset as a chain of requests sees it: with its fakes, and without what it asks for."""

from dataclasses import dataclass
from functools import cached_property

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part, Split
from erase_ray.scenarios import Chain
from erase_ray.tasks import TASKS, Cut, Queries


@dataclass(frozen=True, eq=False)
class ChainView:
    """What is trained on and what is asked; the checks look at the same queries that cells ask.

    Args:
        data: The prepared dataset.
        chain: Its requests.
    """

    data: Prepared
    chain: Chain

    @cached_property
    def interactions(self) -> Interactions:
        """All that the base model is trained on: the full table, and behind it the fakes."""
        real, poison = self.data.interactions, self.chain.poison
        return real if poison is None else real.appended(poison)

    @cached_property
    def split(self) -> Split:
        """The mark of every row of :attr:`interactions`; fakes are train."""
        split, poison = self.data.split, self.chain.poison
        return split if poison is None else split.extended(len(poison))

    @cached_property
    def cleaned(self) -> Interactions:
        """The table without the rows of any request: what all models are scored on."""
        return self.interactions.without(self.chain.rows())

    def test_queries(self, cut: Cut) -> Queries:
        """Test rows that no request names, with histories that show nothing forgotten or fake."""
        return TASKS.get(self.data.task)().queries(self.cleaned, self.split, Part.TEST, cut)

    def probe_queries(self, cut: Cut) -> Queries:
        """One query for each person to probe, over his or her cleaned history."""
        return TASKS.get(self.data.task)().probe(self.cleaned, self.split, self.chain.probe, cut)
