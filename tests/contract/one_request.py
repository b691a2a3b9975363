"""One request on a model that has learned its data, beside a model trained without it.

    python -m tests.contract.one_request [MODEL ...]

Planted data. The four people with the most sensitive training rows ask, each one on a fresh copy of
the base model; a model of the same seed is trained without the rows of all four. Printed is, for
each method, the mean rise of the loss of the forgotten examples as a share of the retrained
model's, and the loss of 500 examples of others as a multiple of the base model's.
"""

import functools
import sys
from dataclasses import dataclass

import numpy as np
import torch

from erase_ray.data.split import Part
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, Model, TrainingSettings
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut, Examples
from erase_ray.training import train
from tests.conftest import CPU, LEARNING, make_model, planted, set_edges

METHOD_NAMES = ("scif", "gif", "ceu", "idea", "kookmin", "fanchuan", "seif")
OTHERS = ("gradient_ascent", "finetune")
EPOCHS = {"bpr": 40, "lightgcn": 40, "sgl": 20, "sets2sets": 20, "dnntsp": 20}
NUM_PEOPLE = 4


@dataclass(frozen=True)
class Found:
    """What a method did.

    Args:
        rise: Mean rise of the loss of the forgotten examples, over the requests.
        others: Largest loss of others, as a multiple of that of the base model.
        statuses: Outcomes that occurred.
    """

    rise: float
    others: float
    statuses: set[str]


class Trained:
    """A base model, and one trained without the rows of all who ask."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = planted(MODELS.get(name).task)
        table, split = self.data.interactions, self.data.split
        self._sensitive = self.data.catalogue.members("sensitive")[table.item]
        counted = self._sensitive & split.select(table, Part.TRAIN)
        counts = np.bincount(table.user[counted], minlength=table.num_users)
        self.people = np.argsort(-counts, kind="stable")[:NUM_PEOPLE]
        self.base, self.retrained = self._train([]), self._train(self.people)
        self.weights = {name: value.clone() for name, value in self.base.state_dict().items()}
        self.others = self.request(0).retain(500)

    def request(self, number: int) -> Request:
        """The request of one of the people, as the first of a chain."""
        data, user = self.data, self.people[number]
        task, cut = TASKS.get(data.task)(), Cut(self.base.max_history, CPU)
        table = data.interactions
        examples = task.examples(table, data.split, cut)
        world = World(task, table, data.split, cut, examples, table.num_items, _never)
        spec = RequestSpec(0, np.array([user]), self._rows([user]))
        asked = torch.tensor([user])
        return Request(spec, np.zeros(0, np.int64), world, asked, len(examples), seed=7 + number)

    def serve(self, method_name: str) -> Found:
        """Let a method with its default settings serve each of the requests."""
        rises, others, statuses = [], [], set()
        for number in range(NUM_PEOPLE):
            model = make_model(self.name, self.data)
            model.load_state_dict(self.weights)
            set_edges(model, self.data)
            request = self.request(number)
            forget = request.forget
            method = METHODS.get(method_name)
            outcome, _ = attempt(method(method.Settings()), model, request)
            if model.has_edges:
                model.drop_edges(*request.edges)
            statuses.add(outcome.status)
            rises.append(loss(model, forget) - loss(self.base, forget))
            others.append(loss(model, self.others) / loss(self.base, self.others))
        return Found(float(np.mean(rises)), max(others), statuses)

    def retrained_rise(self) -> float:
        """Mean rise of the loss of the forgotten examples by retraining."""
        forgets = [self.request(number).forget for number in range(NUM_PEOPLE)]
        return float(np.mean([loss(self.retrained, f) - loss(self.base, f) for f in forgets]))

    def _rows(self, people: list[int] | np.ndarray) -> np.ndarray:
        table = self.data.interactions
        return table.row[self._sensitive & np.isin(table.user, people)]

    def _train(self, without: list[int] | np.ndarray) -> Model:
        epochs = EPOCHS.get(self.name, 8)
        settings = TrainingSettings(
            epochs=epochs, batch_size=64, learning_rate=5e-3, patience=epochs
        )
        model, data = make_model(self.name, self.data), self.data
        left = data.interactions.without(self._rows(without))
        train(model, TASKS.get(data.task)(), left, data.split, settings, 2, CPU)
        return model


@functools.cache
def trained(name: str) -> Trained:
    """The models, trained once a process."""
    return Trained(name)


@torch.no_grad()
def loss(model: Model, examples: Examples) -> float:
    """Mean over the examples, and over 16 draws of negatives where they draw any."""
    model.eval()
    everyone = torch.arange(len(examples))
    draws = range(99, 115 if examples.draws_negatives else 100)
    return float(
        torch.stack([model.loss(examples.batch(everyone, d)).mean() for d in draws]).mean()
    )


def _never(model: Model, interactions: object) -> None:
    raise AssertionError("no method that is asked here trains anew")


def main() -> None:
    names = (*METHOD_NAMES, *OTHERS)
    print("| model | retrained | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 2))
    for model in sys.argv[1:] or LEARNING:
        case = trained(model)
        whole = case.retrained_rise()
        found = [case.serve(name) for name in names]
        cells = [f"{one.rise / whole:.2f}, {one.others:.3f}" for one in found]
        print(f"| `{model}` | {whole:+.3f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
