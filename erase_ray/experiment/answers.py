"""Stored answers, read and judged tile by tile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray import pulse
from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.evaluation import TILE
from erase_ray.metrics import (
    METRICS,
    Aggregate,
    Answers,
    Exposure,
    Measured,
    Metric,
    Population,
    Tally,
)
from erase_ray.scenarios import Chain

KS = (10, 20)
"""Cut-offs of every metric, as in the benchmark."""
_COLUMNS = ["mark", "asks", "user", "row", "items", "relevant", "exposed_rank", "exposed_mass"]


def population_of(cleaned: Interactions, split: Split, chain: Chain) -> Population:
    """Who asks the test queries of a chain, and for what.

    Args:
        cleaned: The table without the rows of any request.
        split: The mark of every row.
        chain: The requests.
    """
    named = np.unique(np.concatenate([request.users for request in chain.requests]))
    return Population.of(cleaned, split, named)


def metrics(asks: str) -> list[Metric | Aggregate]:
    """All known metrics that judge answers to ``asks`` (``test`` or ``probe``), by name."""
    known = [METRICS.get(name) for name in METRICS.names()]
    return [kind() for kind in known if kind.asks == asks]


@dataclass(frozen=True, eq=False)
class Gauge:
    """What answers are judged with.

    Args:
        items_at: The items whose exposure counts at a mark, bool, shape ``(I,)``.
        population: Who asks, for the groups of test queries.
        ks: Cut-offs.
    """

    items_at: Callable[[int], np.ndarray]
    population: Population
    ks: Sequence[int] = KS

    def tally(self, asks: str) -> Tally:
        """A tally of all metrics of ``asks``."""
        return Tally(self._metrics[asks], self.ks, self.population if asks == "test" else None)

    @cached_property
    def _metrics(self) -> dict[str, list[Metric | Aggregate]]:
        return {asks: metrics(asks) for asks in ("test", "probe")}

    def stored(self, source: pa.NativeFile | str, tile: int = TILE) -> "Judged":
        """The numbers that a table ``ranked`` is worth.

        Args:
            source: A file, or the path of one. It is read once from front to end, and no more of
                it is held than a row group.
            tile: Rows that are judged at once; no influence on what comes out.
        """
        judged = Judged(self)
        for batch in pq.ParquetFile(source).iter_batches(tile, columns=_COLUMNS):
            pulse.beat()
            judged.add(batch)
        return judged


@dataclass(eq=False)
class Judged:
    """Judges the rows of a table ``ranked`` by mark and kind of query."""

    gauge: Gauge
    tallies: dict[tuple[int, str], Tally] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        """Judge some more rows, of any marks and kinds."""
        for (mark, asks), part in _by_question(batch):
            items_I = self.gauge.items_at(mark)
            answers = _answers(part, items_I, max(self.gauge.ks))
            if (mark, asks) not in self.tallies:
                self.tallies[mark, asks] = self.gauge.tally(asks)
            self.tallies[mark, asks].add(answers)

    def merge(self, other: "Judged") -> None:
        """Count the rows that another one has judged."""
        for (mark, asks), tally in other.tallies.items():
            if (mark, asks) in self.tallies:
                self.tallies[mark, asks].merge(tally)
            else:
                self.tallies[mark, asks] = tally

    def measured(self, mark: int, asks: str) -> list[Measured]:
        """All metrics of one kind of query at a mark."""
        tally = self.tallies.get((mark, asks)) or self.gauge.tally(asks)
        return tally.measured()


def _by_question(batch: pa.RecordBatch) -> Iterator[tuple[tuple[int, str], pa.RecordBatch]]:
    """The rows of each mark and kind of query."""
    asks = batch.column("asks").dictionary_encode()
    names = asks.dictionary.to_pylist()
    code_Q = len(names) * batch.column("mark").to_numpy() + asks.indices.to_numpy()
    kinds = np.unique(code_Q).tolist()
    for code in kinds:
        mark, place = divmod(code, len(names))
        part = batch if len(kinds) == 1 else batch.filter(pa.array(code_Q == code))
        yield (mark, names[place]), part


def _answers(batch: pa.RecordBatch, items_I: np.ndarray, depth: int) -> Answers:
    places = (batch.column(f"exposed_{what}") for what in ("rank", "mass"))
    return Answers(
        _matrix(_lists(batch.column("items")), depth),
        _lists(batch.column("relevant")),
        items_I,
        Exposure(*(column.to_numpy(zero_copy_only=False) for column in places)),
        batch.column("user").to_numpy(),
        batch.column("row").to_numpy(),
    )


def _lists(column: pa.ListArray) -> Csr:
    offsets = column.offsets.to_numpy().astype(np.int64)
    values = column.values.to_numpy()[offsets[0] : offsets[-1]]
    return Csr(offsets - offsets[0], values)


def _matrix(lists: Csr, depth: int) -> np.ndarray:
    """The lists as rows, at least ``depth`` long, with -1 behind the last item."""
    width = max(int(lists.lengths.max(initial=0)), depth)
    if len(lists.values) == len(lists) * width:
        return lists.values.reshape(-1, width)
    ranked_QK = np.full((len(lists), width), -1, np.int32)
    within = np.arange(len(lists.values)) - np.repeat(lists.offsets[:-1], lists.lengths)
    ranked_QK[lists.owners, within] = lists.values
    return ranked_QK
