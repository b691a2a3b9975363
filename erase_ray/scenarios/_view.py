"""A dataset as a chain of requests sees it: with its fakes, and without what it asks for."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part, Split
from erase_ray.tasks import TASKS, Cut, Queries, Task

if TYPE_CHECKING:
    import numpy as np

    from erase_ray.scenarios._base import Chain

ORIGINAL, RETRAINED, UNLEARNED = "original", "retrained", "unlearned"


class Moment(NamedTuple):
    """Which model is asked, and when.

    Args:
        model: ``original``, ``retrained`` or ``unlearned``; empty where it plays no part.
        mark: 1 to 4; 0 where it plays no part.
    """

    model: str
    mark: int


ANY = Moment("", 0)


class Lesson(NamedTuple):
    """What a model is trained on: how rows are read, the rows that are left, and their marks."""

    task: Task
    interactions: Interactions
    split: Split


@dataclass(frozen=True, eq=False)
class ChainView:
    """The protocol: what models are trained on, what they are asked at a mark, what is reported.

    All models are asked the same at all marks. A scenario of another edition may bring a view that
    departs from this one (see :mod:`erase_ray.reference`).

    Args:
        data: The prepared dataset.
        chain: Its requests.
    """

    data: Prepared
    chain: "Chain"

    @cached_property
    def task(self) -> Task:
        """How rows are read for the base model, and by methods."""
        return TASKS.get(self.data.task)()

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

    @property
    def grouped(self) -> Interactions:
        """The table that groups of queries and items are made from."""
        return self.cleaned

    @property
    def best(self) -> Any:
        """Makes what picks the best epoch of a training; None for the usual."""
        return None

    @property
    def leaks_edges(self) -> bool:
        """Whether models that forget read the edges of all rows, and keep the forgotten ones."""
        return False

    def lesson(self, left: Interactions) -> Lesson:
        """What a model is trained on when the rows ``left`` are left."""
        return Lesson(self.task, left, self.split)

    def moment(self, model: str, mark: int) -> Moment:
        """The moment, as far as it plays a part in what is asked."""
        return ANY

    def test_queries(self, cut: Cut, moment: Moment = ANY) -> Queries:
        """Test rows that no request names, with histories that show nothing forgotten or fake."""
        return self.task.queries(self.cleaned, self.split, Part.TEST, cut)

    def probe_queries(self, cut: Cut, moment: Moment = ANY) -> Queries:
        """One query for each person to probe, over his or her cleaned history."""
        return self.task.probe(self.cleaned, self.split, self.chain.probe, cut)

    def probed_at(self, model: str, mark: int) -> "np.ndarray":
        """Those of the people who are probed who count at a mark."""
        return self.chain.probed_at(mark)

    def probed_with(self, model: str, mark: int, asked: Any) -> tuple[int, ...]:
        """The marks whose probes are answered by the model ``asked`` as it is at ``mark``."""
        return (mark,)

    def reported(self, asks: str, found: list[Any]) -> list[Any]:
        """What is written down of what was measured."""
        return found
