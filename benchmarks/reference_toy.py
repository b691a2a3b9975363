"""What the published methods do to a toy, beside our own editions of them.

    python benchmarks/reference_toy.py                 one request, 5 s
    python benchmarks/reference_toy.py --lengths 200   SCIF's step by the length of a history
    python benchmarks/reference_toy.py --stream 100    the loss of others along a chain

400 people with a taste, 300 items, BPR with vectors of 32 numbers, no split. One person with 12
items asks for 3 of them to be forgotten. Losses are means over 64 draws of negatives: of the 3, of
the 9 that stay, and of everybody else's items; the last column is the length of the change of the
weights.
"""

import argparse
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.registry import REFERENCE
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import Cut, Examples
from erase_ray.tasks.cf import Cf
from erase_ray.training import train_epochs

CPU = torch.device("cpu")
NUM_USERS, NUM_ITEMS, WIDTH, EPOCHS = 400, 300, 32, 15
DRAWS = 64
LENGTH, NUM_FORGET = 12, 3
HISTORY = 1000
"""As many items to forget as anybody has."""
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("SCIF", "scif", {}),
    ("Kookmin", "kookmin", {}),
    ("Fanchuan", "fanchuan", {}),
    ("GIF", "gif", {}),
    ("CEU, noise off", "ceu", {"sigma": 0.0}),
    ("CEU", "ceu", {}),
    ("IDEA, noise and fine-tuning off", "idea", {"sigma": 0.0, "epsilon": 1e9, "tune_factor": 0}),
    ("IDEA", "idea", {}),
    ("SEIF", "seif", {}),
]
STREAMED = ("scif", "kookmin", "fanchuan", "gif", "ceu", "idea", "seif")


class Whole(Cf):
    """All rows are for training."""

    name = "cf"

    def split(self, interactions: Interactions) -> Split:
        """Train for every row."""
        return Split(np.zeros(len(interactions), np.int8))


@dataclass(eq=False)
class Toy:
    """The trained model, and requests to it."""

    world: World
    weights: dict[str, torch.Tensor]

    @classmethod
    def made(cls) -> "Toy":
        """Draw the data and train."""
        table, task = _table(), Whole()
        split, cut = task.split(table), Cut(1, CPU)
        examples = task.examples(table, split, cut)
        training = TrainingSettings(learning_rate=1e-3, batch_size=256)
        world = World(task, table, split, cut, examples, NUM_ITEMS, _never, training, seed=1)
        model = _model()
        fast = TrainingSettings(learning_rate=0.01, batch_size=256)
        train_epochs(model, examples, fast, 1, range(EPOCHS))
        return cls(world, {name: value.clone() for name, value in model.state_dict().items()})

    def model(self) -> Model:
        """A fresh copy."""
        model = _model()
        model.load_state_dict(self.weights)
        return model

    def request(
        self, user: int, asked: tuple[int, ...] = (), num_forget: int = NUM_FORGET
    ) -> Request:
        """``user`` wants the first items of the history forgotten."""
        own = self.world.interactions.of_users(np.array([user]))
        before = [self.world.interactions.of_users(np.array([one])) for one in asked]
        gone = np.concatenate([np.zeros(0, np.int64), *(one.row[:NUM_FORGET] for one in before)])
        return Request(
            spec=RequestSpec(user, np.array([user]), own.row[:num_forget]),
            forgotten=gone,
            world=self.world,
            asked=torch.tensor([*asked, user]),
            training_size=len(self.world.examples) - len(gone),
            seed=1000 + user,
        )

    def parts(self, user: int) -> list[Examples]:
        """What ``user`` forgets, what he or she keeps, and everybody else's."""
        own = self.world.interactions.of_users(np.array([user]))
        rows = [own.row[:NUM_FORGET], own.row[NUM_FORGET:]]
        table = self.world.interactions
        tables = [*(table.only(some) for some in rows), table.without(own.row)]
        taken = self.world.examples
        places = [torch.isin(taken.rows, torch.as_tensor(one.row)) for one in tables]
        return [taken.take(torch.nonzero(place).flatten()) for place in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, default=0, help="people whose SCIF step to take")
    parser.add_argument("--stream", type=int, default=0, help="requests of a chain")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    toy = Toy.made()
    if arguments.lengths:
        lengths(toy, arguments.lengths)
    elif arguments.stream:
        streams(toy, arguments.stream)
    else:
        one_request(toy)


def one_request(toy: Toy) -> None:
    """The table of one request."""
    lengths_U = np.bincount(toy.world.interactions.user)
    user = int(np.flatnonzero(lengths_U == LENGTH)[0])
    parts = toy.parts(user)
    print("| method | forgotten | clean | others | step |\n|---|---|---|---|---|")
    print(_line("base", [mean_loss(toy.model(), part) for part in parts], 0.0))

    def row(title: str, method: Any, request: Request) -> None:
        model = toy.model()
        outcome, norm = attempt(method, model, request)
        losses = [mean_loss(model, part) for part in parts]
        note = "" if outcome.status == "applied" else f" ({outcome.status})"
        print(_line(f"{title}{note}", losses, norm), flush=True)

    whole = toy.request(user, num_forget=HISTORY)
    row("SCIF, all 12 forgotten, reference", _method("scif", REFERENCE, {}), whole)
    for title, name, changes in ROWS:
        row(f"{title}, reference", _method(name, REFERENCE, changes), toy.request(user))
    for name in STREAMED:
        row(f"{name}, corrected", _method(name, "corrected", {}), toy.request(user))


def lengths(toy: Toy, num: int) -> None:
    """SCIF's step of one request from the base model, by C."""
    steps: dict[bool, list[float]] = {True: [], False: []}
    for user in range(num):
        outcome, norm = attempt(_method("scif", REFERENCE, {}), toy.model(), toy.request(user))
        steps[outcome.details["C"] <= 16].append(norm)
    for is_short, norms in steps.items():
        name = "C <= 16" if is_short else "C > 16"
        print(
            f"{name}: {len(norms)} people, median step {statistics.median(norms):.3g}, "
            f"longest {max(norms):.3g}"
        )


def streams(toy: Toy, num: int) -> None:
    """The mean loss of those who never ask, before and after a chain of each method."""
    is_other = toy.world.examples.users >= num
    others = toy.world.examples.take(torch.nonzero(is_other).flatten())
    print(f"base: {mean_loss(toy.model(), others):.4f}")
    for edition in (REFERENCE, "corrected"):
        for name in STREAMED:
            model, method, state = toy.model(), _method(name, edition, {}), {}
            state |= method.begin(model, toy.world)
            for user in range(num):
                request = toy.request(user, tuple(range(user)))
                request.state = state
                attempt(method, model, request)
            highest = max(float(weight.detach().abs().max()) for weight in model.parameters())
            loss = mean_loss(model, others)
            print(f"{method.name}: loss of others {loss:.4f}, largest weight {highest:.3g}")


@torch.no_grad()
def mean_loss(model: Model, examples: Examples) -> float:
    """Mean loss of an example."""
    places = torch.arange(len(examples))
    draws = DRAWS if len(examples) < 1000 else 4
    losses = [model.loss(examples.batch(places, draw)).mean() for draw in range(draws)]
    return float(torch.stack(losses).mean())


def _method(name: str, edition: str, changes: dict[str, Any]) -> Any:
    kind = METHODS.get(name, edition)
    return kind(kind.Settings(**changes))


def _model() -> Model:
    kind = MODELS.get("bpr")
    model = kind(kind.Settings(embedding_size=WIDTH), Shape(NUM_USERS, NUM_ITEMS))
    model.reset(torch.Generator().manual_seed(1))
    return model


def _table() -> Interactions:
    """Everybody draws 6 to 26 items near a place of their own, none twice."""
    generator = np.random.default_rng(1)
    sizes = generator.integers(6, 27, NUM_USERS)
    places = generator.uniform(0, NUM_ITEMS, NUM_USERS)
    items = []
    for size, place in zip(sizes, places, strict=True):
        gap = np.abs(np.arange(NUM_ITEMS) - place)
        keys = -0.5 * (np.minimum(gap, NUM_ITEMS - gap) / 25) ** 2
        chosen = np.argsort(-(keys + generator.gumbel(size=NUM_ITEMS)))[:size]
        items.append(generator.permutation(chosen))
    user = np.repeat(np.arange(NUM_USERS), sizes)
    step = np.concatenate([np.arange(size) for size in sizes])
    columns = {"user": user, "sequence": user, "step": step, "item": np.concatenate(items)}
    return Interactions.prepared(columns | {"time": step})


def _line(title: str, losses: list[float], norm: float) -> str:
    return f"| {title} | {' | '.join(f'{loss:.4f}' for loss in losses)} | {norm:.4g} |"


def _never(model: Model, interactions: Interactions) -> None:
    raise AssertionError("nothing is trained from scratch here")


if __name__ == "__main__":
    main()
