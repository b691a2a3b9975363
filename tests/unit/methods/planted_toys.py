"""Models trained on planted data, the same retrained without one person's rows, and requests."""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from erase_ray.data.split import Part
from erase_ray.methods import METHODS, Deadline, Method, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train, training_edges
from tests.conftest import CPU, make_model, planted

EPOCHS = {"gru4rec": 8}
NUM_PEOPLE = 6


def method(name: str, **settings) -> Method:
    kind = METHODS.get(name)
    return kind(kind.Settings(**settings))


@dataclass(eq=False)
class Case:
    """Six people ask to forget their sensitive items, those with most of them."""

    name: str
    trained: bool = True

    def __post_init__(self):
        self.data = planted(MODELS.get(self.name).task)
        self.task = TASKS.get(self.data.task)()
        self.model = make_model(self.name, self.data)
        self.cut = Cut(self.model.max_history, CPU)
        table, split = self.data.interactions, self.data.split
        examples = self.task.examples(table, split, self.cut)
        self.world = World(
            self.task, table, split, self.cut, examples, table.num_items, train=_no_training
        )
        self.people, sensitive = _people(self.data)
        self.rows = {int(u): table.row[sensitive & (table.user == u)] for u in self.people}
        self.after = table.without(np.concatenate(list(self.rows.values())))
        if self.trained:
            self.use("base")

    def use(self, which: str) -> None:
        """Load the weights of the base model, or of the one retrained without all six."""
        self.model.load_state_dict(_weights(self.name, which))
        left = self.data.interactions if which == "base" else self.after
        if self.model.has_edges:
            self.model.set_edges(*training_edges(left, self.data.split, CPU))

    def request(self, number=0, asked=(), forgotten=(), limit_s=float("inf"), rows=None) -> Request:
        user = int(self.people[number])
        rows = self.rows[user] if rows is None else rows
        return Request(
            spec=RequestSpec(number, np.array([user]), rows),
            forgotten=np.asarray(forgotten, np.int64),
            world=self.world,
            asked=torch.tensor([*asked, user]),
            training_size=len(self.world.examples) - len(forgotten),
            seed=70 + number,
            deadline=Deadline(limit_s),
        )

    def requests(self) -> list[Request]:
        asked, forgotten, found = [], np.zeros(0, np.int64), []
        for number, user in enumerate(self.people):
            found.append(self.request(number, asked, forgotten))
            asked.append(int(user))
            forgotten = np.concatenate([forgotten, self.rows[int(user)]])
        return found

    def losses(self) -> tuple[float, float]:
        """Mean losses of what the six forget, and of all that is left."""
        own = self.data.interactions.of_users(np.sort(self.people))
        before, after = (
            self.task.examples(table, self.data.split, self.cut)
            for table in (own, own.without(np.concatenate(list(self.rows.values()))))
        )
        changed = ~torch.isin(before.fingerprints(), after.fingerprints())
        forget = before.take(torch.nonzero(changed).flatten())
        left = self.task.examples(self.after, self.data.split, self.cut)
        return self.mean(forget), self.mean(left)

    @torch.no_grad()
    def mean(self, examples) -> float:
        self.model.eval()
        everyone = torch.arange(len(examples))
        draws = 8 if examples.draws_negatives else 1
        losses = [
            self.model.loss(examples.batch(everyone, 99 + draw)).mean() for draw in range(draws)
        ]
        return float(torch.stack(losses).mean())


@functools.cache
def _weights(name: str, which: str) -> dict[str, torch.Tensor]:
    data = planted(MODELS.get(name).task)
    model, table = make_model(name, data), data.interactions
    if which == "retrained":
        people, sensitive = _people(data)
        table = table.without(table.row[sensitive & np.isin(table.user, people)])
    epochs = EPOCHS.get(name, 15)
    training = TrainingSettings(epochs=epochs, batch_size=64, learning_rate=5e-3, patience=100)
    train(model, TASKS.get(data.task)(), table, data.split, training, 2, CPU)
    return {key: value.clone() for key, value in model.state_dict().items()}


def _people(data) -> tuple[np.ndarray, np.ndarray]:
    """Who has most sensitive training rows, and which rows are sensitive."""
    table = data.interactions
    sensitive = data.catalogue.members("sensitive")[table.item]
    counted = sensitive & data.split.select(table, Part.TRAIN)
    count_U = np.bincount(table.user[counted], minlength=table.num_users)
    return np.argsort(-count_U, kind="stable")[:NUM_PEOPLE], sensitive


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def _no_training(model, interactions):
    raise AssertionError("nothing is trained here")
