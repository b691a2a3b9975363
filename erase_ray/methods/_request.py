"""What a method is given to serve one request."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.methods._sample import sample
from erase_ray.methods._undo import Undo
from erase_ray.models import Model, TrainingSettings
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import Cut, Examples, Task


class Deadline:
    """A limit on the seconds one request may take."""

    def __init__(self, limit_s: float = float("inf")) -> None:
        self.limit_s = limit_s
        self._end = time.monotonic() + limit_s

    def passed(self) -> bool:
        """True once the limit is over."""
        return time.monotonic() >= self._end


@dataclass(frozen=True, eq=False)
class World:
    """What stays the same for all requests of a chain.

    Args:
        task: Reads examples from interactions.
        interactions: The table on which the base model was trained.
        split: Mark of each row.
        cut: History length and device.
        examples: Training examples before the first request.
        num_items: Size of the catalogue.
        train: Trains a fresh model on the given interactions and puts its weights into the model.
        training: How models of the cell are trained.
        seed: Root of all draws of the cell.
    """

    task: Task
    interactions: Interactions
    split: Split
    cut: Cut
    examples: Examples
    num_items: int
    train: Callable[[Model, Interactions], None]
    training: TrainingSettings = field(default_factory=TrainingSettings)
    seed: int = 0


@dataclass(eq=False)
class Request:
    """One request in its moment of the chain; everything is made when first asked for.

    Args:
        spec: Who, and which rows.
        forgotten: Row ids that earlier requests removed, int64.
        world: What all requests share.
        asked: Users of this request and of all earlier ones, int64 on the device of the examples.
        training_size: N, the number of training examples before this request.
        seed: Root of all randomness of this request.
        deadline: When to give up.
        state: What a method remembers from request to request, by name; lives as long as the
            chain. Changes count only if the outcome is ``applied``. Tensors are replaced, never
            edited in place.
        undo: What the request changed so far.
    """

    spec: RequestSpec
    forgotten: np.ndarray
    world: World
    asked: Tensor
    training_size: int
    seed: int
    deadline: Deadline = field(default_factory=Deadline)
    state: dict[str, Tensor] = field(default_factory=dict)
    undo: Undo = field(default_factory=Undo)

    @cached_property
    def after(self) -> Interactions:
        """All interactions that are left once this request is served."""
        return self.world.interactions.without(self._gone)

    @cached_property
    def forget(self) -> Examples:
        """Training examples that the request removes or changes, as they were before."""
        return self._affected[0]

    @cached_property
    def cleaned(self) -> Examples:
        """The changed examples as they are afterwards (such as a history without the item)."""
        return self._affected[1]

    @cached_property
    def kept(self) -> Examples:
        """All training examples that the same people have afterwards; contains ``cleaned``."""
        return self._own(after=True)

    @cached_property
    def items(self) -> Tensor:
        """Distinct items to forget, ascending, int64, on the device."""
        items = np.unique(self.world.interactions.item[self._positions])
        return torch.as_tensor(items.astype(np.int64), device=self.device)

    @cached_property
    def marked_I(self) -> Tensor:
        """bool, shape ``(I,)``, on the device: True for the items to forget."""
        marked_I = torch.zeros(self.world.num_items, dtype=torch.bool, device=self.device)
        marked_I[self.items] = True
        return marked_I

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor]:
        """User and item of the training rows to forget, int64, shape ``(E,)`` each.

        A model with edges still has them while the request is served. Afterwards the chain drops
        them, whatever the outcome: nothing is computed from forgotten rows any more.
        """
        table, positions = self.world.interactions, self._positions
        train = positions[self.world.split.marks[self.spec.rows] == Part.TRAIN]
        user_E, item_E = (
            torch.as_tensor(column[train].astype(np.int64), device=self.device)
            for column in (table.user, table.item)
        )
        return user_E, item_E

    @cached_property
    def users(self) -> Tensor:
        """The people who ask, ascending, int64, on the device (one, unless merged)."""
        return torch.as_tensor(self._users.astype(np.int64), device=self.device)

    @property
    def device(self) -> torch.device:
        """Where the examples live."""
        return self.world.cut.device

    @cached_property
    def generator(self) -> torch.Generator:
        """A generator on the device, seeded for this request."""
        return seeds.torch_generator(self.seed, "method", device=self.device)

    def retain(self, num: int, aim_share: float = 0.0) -> Examples:
        """A random sample of other people's training examples, without replacement.

        Nobody who has asked so far is in it, so nothing forgotten is. Time goes with the size of
        the sample, not of the data, unless ``aim_share`` is asked for.

        Args:
            num: Size of the sample; all there are where there are fewer.
            aim_share: Share (0 to 1) of the sample drawn from examples that aim at ``items``, as
                far as there are that many.
        """
        examples = self.world.examples
        seed = seeds.derive(self.seed, "retain")
        if not aim_share:
            return examples.take(sample(examples.users, num, seed, self.asked))
        aiming = torch.nonzero(examples.aims_at(self.marked_I)).flatten()
        wanted = round(num * aim_share)
        first = aiming[sample(examples.users[aiming], wanted, seed, self.asked)]
        others = sample(examples.users, num + len(first), seed, self.asked)
        others = others[~torch.isin(others, first)]
        return examples.take(torch.cat([first, others])[:num])

    def train_from_scratch(self, model: Model) -> None:
        """Put the weights of a model trained without the forgotten rows into ``model``."""
        self.world.train(model, self.after)

    @cached_property
    def _affected(self) -> tuple[Examples, Examples]:
        before, after = self._own(after=False), self.kept
        old, new = before.fingerprints(), after.fingerprints()
        gone = torch.nonzero(~torch.isin(old, new)).flatten()
        made = torch.nonzero(~torch.isin(new, old)).flatten()
        return before.take(gone), after.take(made)

    @property
    def _gone(self) -> np.ndarray:
        return np.concatenate([self.forgotten, self.spec.rows])

    @cached_property
    def _positions(self) -> np.ndarray:
        return np.searchsorted(self.world.interactions.row, self.spec.rows)

    @cached_property
    def _users(self) -> np.ndarray:
        return np.unique(self.world.interactions.user[self._positions])

    def _own(self, after: bool) -> Examples:
        own = self.world.interactions.of_users(self._users)
        gone = [self.forgotten, self.spec.rows] if after else [self.forgotten]
        own = own.without(np.concatenate([rows[_inside(rows, own.row)] for rows in gone]))
        return self.world.task.examples(own, self.world.split, self.world.cut)


def _inside(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """bool, of the length of ``rows``: True for those in ``table``, which is short and sorted."""
    places = np.searchsorted(table, rows)
    return table[np.minimum(places, len(table) - 1)] == rows if len(table) else rows < rows
