"""Models of several shards that answer as one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import Model
from erase_ray.tasks._batches import PairBatch


class Ensemble(Model):
    """A mixture of models: the score of an item is its log-probability.

    Each shard's scores become a distribution over all items by softmax, and the distributions are
    averaged with the weights of :attr:`weight_AS`; scores of shards, whose scales differ, cannot be
    averaged as they are. A shard that knows nothing of a user scores all items about equally, so
    it hardly moves the order that a shard which does know the user gives them.

    Args:
        members: The model of each shard, alike but for their weights.
    """

    shard_U: Tensor
    weight_AS: Tensor

    def __init__(self, members: Sequence[Model]) -> None:
        first = members[0]
        super().__init__(first.settings, first.shape)
        self.members = nn.ModuleList(members)
        device = next(first.parameters()).device
        groups = len(members) if self.knows_users else 1
        even_AS = torch.full((groups, len(members)), 1 / len(members), device=device)
        shard_U = torch.zeros(self.shape.num_users, dtype=torch.int64, device=device)
        self.register_buffer("shard_U", shard_U)
        self.register_buffer("weight_AS", even_AS)

    @property
    def shards(self) -> list[Model]:
        """The models."""
        return list(self.members)  # type: ignore

    @property
    def knows_users(self) -> bool:
        """Whether batches say who asks: then there are weights for the people of each shard."""
        return bool(self.shards[0].user_tables())

    @property
    def max_history(self) -> int:
        """That of the models."""
        return self.shards[0].max_history

    def reset(self, generator: torch.Generator) -> None:
        """Draw new weights for one shard after the other."""
        for member in self.shards:
            member.reset(generator)

    def loss(self, batch: Any) -> Tensor:
        """The mean over the shards, shape ``(B,)``."""
        return torch.stack([member.loss(batch) for member in self.shards]).mean(0)

    def scores(self, batch: Any) -> Tensor:
        """The logarithm of the averaged probabilities, shape ``(B, I)``."""
        weight_BS = self.weight_AS[self.owners(batch)]
        total_BI: Tensor | None = None
        for member, weight_B in zip(self.shards, weight_BS.T, strict=True):
            asked = torch.nonzero(weight_B).flatten()
            if not len(asked):
                continue
            share_BI = log_shares(member, _narrowed(batch, asked)) + weight_B[asked, None].log()
            if total_BI is None:
                total_BI = share_BI.new_full((len(batch), share_BI.shape[1]), float("-inf"))
            total_BI[asked] = torch.logaddexp(total_BI[asked], share_BI)
        assert total_BI is not None
        return total_BI

    def owners(self, batch: Any) -> Tensor:
        """The row of :attr:`weight_AS` that is meant for each example, int64, shape ``(B,)``."""
        if self.knows_users:
            return self.shard_U[batch.user_B]
        return torch.zeros(len(batch), dtype=torch.int64, device=self.weight_AS.device)

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """That of all shards."""
        with ExitStack() as stack:
            for member in self.shards:
                stack.enter_context(member.scoring())
            yield

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """Those of all shards."""
        return self._of_all(lambda member: member.head_parameters())

    def user_tables(self) -> dict[str, nn.Parameter]:
        """Those of all shards."""
        return self._of_all(lambda member: member.user_tables())

    def item_tables(self) -> dict[str, nn.Parameter]:
        """Those of all shards."""
        return self._of_all(lambda member: member.item_tables())

    def _of_all(self, part: Callable[[Model], dict[str, nn.Parameter]]) -> dict[str, nn.Parameter]:
        return {
            f"members.{shard}.{name}": weight
            for shard, member in enumerate(self.shards)
            for name, weight in part(member).items()
        }


class GraphEnsemble(Ensemble):
    """Models each of which sees the edges of its own people; edges are sorted out here."""

    has_edges = True

    def set_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Give each shard the edges of its people; :attr:`shard_U` must be right by then."""
        self._tell("set_edges", user_E, item_E)

    def drop_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take edges away from the shards that have them."""
        self._tell("drop_edges", user_E, item_E)

    def restore_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Put edges back where they were."""
        self._tell("restore_edges", user_E, item_E)

    def _tell(self, what: str, user_E: Tensor, item_E: Tensor) -> None:
        shard_E = self.shard_U[user_E]
        for shard, member in enumerate(self.shards):
            inside_E = shard_E == shard
            if what == "set_edges" or inside_E.any():
                getattr(member, what)(user_E[inside_E], item_E[inside_E])


def ensemble_of(members: Sequence[Model]) -> Ensemble:
    """An ensemble that goes by the name of its models."""
    kind = type(members[0])
    base = GraphEnsemble if kind.has_edges else Ensemble
    facts = {name: getattr(kind, name) for name in ("name", "task", "version", "training")}
    made: type[Ensemble] = type(f"{kind.__name__}Ensemble", (base,), facts)  # type: ignore
    return made(members)


def log_shares(model: Model, batch: Any) -> Tensor:
    """The log-probability of every item by the softmax of the scores, shape ``(B, I)``."""
    return functional.log_softmax(model.scores(batch), dim=1)


def _narrowed(batch: Any, index: Tensor) -> Any:
    if len(index) == len(batch):
        return batch
    assert isinstance(batch, PairBatch)
    return PairBatch(batch.user_B[index])
