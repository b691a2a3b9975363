"""The basket models as plain loops over users, in the way of the original implementations.

One user at a time; a call of the GRU for each basket; graphs by loops over pairs of items; dense
tensors over all steps, all nodes and all items; PyTorch's own layers. Parameters have the names
that they have in the package, so both sides can start from the same weights.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import Model
from erase_ray.tasks import Examples
from erase_ray.tasks._batches import BasketBatch


@dataclass(frozen=True)
class User:
    """Baskets of a history, oldest first, and the items of the next one."""

    history: list[list[int]]
    target: list[int]


def listed(examples: Examples) -> list[User]:
    """Histories and the baskets behind them as lists."""
    return [_user(examples.batch(index, 0)) for index in torch.arange(len(examples)).split(1)]


def _user(batch: BasketBatch) -> User:
    sizes = torch.bincount(batch.basket_M, minlength=len(batch.owner_K)).tolist()
    history = [items.tolist() for items in batch.item_M.split(sizes)]
    assert batch.target_T is not None
    return User(history, batch.target_T.tolist())


class LoopSets2Sets(nn.Module):
    """Sets2Sets with the items x items layer as an ordinary dense layer."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        settings, items = model.settings, model.shape.num_items
        width = settings.embedding_size
        self.encoder_embedding = nn.Embedding(items, width)
        self.decoder_embedding = nn.Embedding(items, width)
        self.encoder = nn.GRU(width, width)
        self.attention = nn.Linear(2 * width, settings.max_history)
        self.combine = nn.Linear(2 * width, width)
        self.decoder = nn.GRUCell(width, width)
        self.output = nn.Linear(width, items)
        self.gate = nn.Linear(items, items)
        self.register_buffer("item_weights_I", torch.ones(items))
        state = model.state_dict()
        state["gate.bias"] = state.pop("gate_bias")
        self.load_state_dict(state)

    def losses(self, users: list[User]) -> Tensor:
        """The loss of each user."""
        return torch.stack([self._loss(user) for user in users])

    def _loss(self, user: User) -> Tensor:
        wanted = torch.zeros(self.output.out_features)
        wanted[user.target] = 1
        probability = torch.softmax(self.scores(user), 0)
        return (self.item_weights_I * (probability - wanted) ** 2).sum()  # type: ignore

    def scores(self, user: User) -> Tensor:
        """Logits of all items."""
        width = self.combine.out_features
        state, states = torch.zeros(1, 1, width), []
        for basket in user.history:
            vector = self.encoder_embedding(torch.tensor(basket)).sum(0)
            _, state = self.encoder(vector.view(1, 1, -1), state)
            states.append(state.view(-1))
        hidden = state.view(1, -1)
        latest = self.decoder_embedding(torch.tensor(user.history[-1])).sum(0)[None]
        energy = self.attention(torch.cat([latest, hidden], 1))[:, : len(states)]
        context = torch.softmax(energy, 1) @ torch.stack(states)
        mixed = torch.relu(self.combine(torch.cat([latest, context], 1)))
        logits = self.output(self.decoder(mixed, hidden))[0]
        often = torch.zeros(self.output.out_features)
        for basket in user.history:
            for item in basket:
                often[item] += 1 / len(user.history)
        gates = torch.sigmoid(self.gate(often))
        return logits * (1 - (often > 0) * gates) + often * gates


class LoopDnntsp(nn.Module):
    """DNNTSP over dense matrices of a user: steps x nodes x nodes."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        settings, items = model.settings, model.shape.num_items
        width, layers = settings.embedding_size, range(settings.num_layers)
        self.num_heads = settings.num_heads
        self.item_embedding = nn.Embedding(items, width)
        self.convolutions = nn.ModuleList([nn.Linear(width, width) for _ in layers])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in layers])
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.importance = nn.Linear(width, 1, bias=False)
        self.output = nn.Linear(width, 1)
        self.gate = nn.Parameter(torch.zeros(items))
        self.load_state_dict(model.state_dict())

    def losses(self, users: list[User]) -> Tensor:
        """The loss of each user of a batch."""
        scores = self._all_scores(users)
        wanted = torch.zeros_like(scores)
        for row, user in zip(wanted, users, strict=True):
            row[user.target] = 1
        entropy = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        return entropy.mean(1)

    def scores(self, user: User) -> Tensor:
        """Logits of all items."""
        return self._all_scores([user])[0]

    def _all_scores(self, users: list[User]) -> Tensor:
        graphs = [self._graph(user.history) for user in users]
        vectors = [self.item_embedding(nodes).expand(len(steps), -1, -1) for nodes, steps in graphs]
        for linear, norm in zip(self.convolutions, self.norms, strict=True):
            mixed = [linear(steps @ x) for (_, steps), x in zip(graphs, vectors, strict=True)]
            sizes = [x.shape[0] * x.shape[1] for x in mixed]
            rows = torch.relu(norm(torch.cat([x.flatten(0, 1) for x in mixed])))
            vectors = [x.view(like.shape) for x, like in zip(rows.split(sizes), mixed, strict=True)]
        pairs = zip(graphs, vectors, strict=True)
        return torch.stack([self._user_scores(nodes, x) for (nodes, _), x in pairs])

    def _graph(self, history: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Nodes, and a matrix over them for each step."""
        nodes = sorted({item for basket in history for item in basket})
        counts = dict.fromkeys(((i, i) for i in nodes), 1.0)
        for basket in history:
            for i in basket:
                for j in basket:
                    if i != j:
                        counts[i, j] = counts.get((i, j), 0.0) + 1
        most = max(counts.values())
        steps = []
        for basket in history:
            inside = set(basket)
            steps.append(
                [
                    [
                        counts[i, j] / most if i == j or (i in inside and j in inside) else 0.0
                        for j in nodes
                    ]
                    for i in nodes
                ]
            )
        return torch.tensor(nodes), torch.tensor(steps)

    def _user_scores(self, nodes: Tensor, vectors_TND: Tensor) -> Tensor:
        x_NTD = vectors_TND.transpose(0, 1)
        num_nodes, num_steps, width = x_NTD.shape
        query, key, value = (
            layer(x_NTD).view(num_nodes, num_steps, self.num_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        energy = query @ key.transpose(2, 3) / math.sqrt(width // self.num_heads)
        later = torch.ones(num_steps, num_steps, dtype=torch.bool).triu(1)
        shares = torch.softmax(energy.masked_fill(later, float("-inf")), -1)
        answers_NTD = (shares @ value).transpose(1, 2).reshape(num_nodes, num_steps, width)
        memory_ND = (self.importance(answers_NTD) * answers_NTD).sum(1)
        gate = self.gate[nodes][:, None]
        table = self.item_embedding.weight.clone()
        table[nodes] = (1 - gate) * table[nodes] + gate * memory_ND
        return self.output(table)[:, 0]


LOOPS = {"sets2sets": LoopSets2Sets, "dnntsp": LoopDnntsp}
