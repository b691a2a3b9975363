"""Which epoch of a training run is the best, and its weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from erase_ray.evaluation import measure, rank, usual_block
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import Model, TrainingSettings
from erase_ray.tasks import Queries
from erase_ray.team import Team


class Judge:
    """The value that picks the best epoch; the same on all members of a team."""

    def __init__(
        self, queries: Queries, settings: TrainingSettings, team: Team | None = None
    ) -> None:
        self._queries, self._team = queries, team
        self._k = settings.select_k
        self._metric = METRICS.get(settings.select_metric)()

    def value(self, model: Model) -> float | None:
        """Mean of the metric over the valid queries; None where there are none."""
        if not len(self._queries):
            return None
        ranked_QK = self._ranked(model)
        nothing_I = np.zeros(model.shape.num_items, dtype=bool)
        answers = Answers(ranked_QK, self._queries.relevant, nothing_I)
        return measure(answers, [self._metric], [self._k])[0].value

    def _ranked(self, model: Model) -> np.ndarray:
        """The lists of all queries; a team shares them out, in the blocks of a single process."""
        team, queries = self._team, self._queries
        if team is None:
            return rank(model, queries, self._k)
        size = usual_block(model, queries)
        num = -(-len(queries) // size)
        ends = [min(team.part_of(r, num).stop * size, len(queries)) for r in range(team.size)]
        starts = [0, *ends[:-1]]
        own = slice(starts[team.rank], ends[team.rank])
        ranked_QK = torch.from_numpy(rank(model, _cut(queries, own), self._k, size))
        sizes = [end - start for start, end in zip(starts, ends, strict=True)]
        return team.gather(ranked_QK.to(team.device), sizes).cpu().numpy()


def _cut(queries: Queries, own: slice) -> Queries:
    index = torch.arange(own.start, own.stop, device=queries.inputs.rows.device)
    return Queries(
        queries.inputs.take(index),
        queries.relevant.take(own.start, own.stop),
        queries.masked.take(own.start, own.stop),
    )


@dataclass(eq=False)
class Best:
    """The best weights so far, in one set of buffers; best is the first of the highest."""

    model: Model
    epoch: int | None = None
    num_waited: int = 0
    curve: list[float] = field(default_factory=list)
    kept: dict[str, Tensor] = field(default_factory=dict)
    _is_current: bool = True

    def offer(self, epoch: int, value: float, is_last: bool) -> None:
        """Keep the weights of the model as they are now if ``value`` is above all before."""
        gains = self._gains(value)
        self.curve.append(value)
        self.num_waited = 0 if gains else self.num_waited + 1
        self._is_current = gains
        if gains:
            self.epoch = epoch
            if not is_last:
                self._keep()

    def has_waited(self, patience: int) -> bool:
        """Whether so many values in a row were no gain that training ends."""
        return self.num_waited >= patience

    def _gains(self, value: float) -> bool:
        """Whether the next value is the best so far."""
        return self.epoch is None or value > self.curve[self.epoch]

    def restore(self) -> None:
        """Put the best weights into the model."""
        if not self._is_current:
            self._copy(self.kept, self.model.state_dict())

    def resume(self, curve: list[float], kept: dict[str, Tensor]) -> None:
        """Go on after these values with these best weights."""
        self.epoch, self.curve = None, []
        for epoch, value in enumerate(curve):
            if self._gains(value):
                self.epoch = epoch
            self.curve.append(value)
        self.num_waited = len(curve) - 1 - self.epoch if self.epoch is not None else 0
        self._is_current = not self.num_waited
        if curve:
            self._keep()
            self._copy(kept, self.kept)

    def _keep(self) -> None:
        now = self.model.state_dict()
        if not self.kept:
            self.kept = {name: torch.empty_like(value) for name, value in now.items()}
        self._copy(now, self.kept)

    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in source.items():
                target[name].copy_(value)
