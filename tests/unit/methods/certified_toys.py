"""Toys whose every parameter is one of a strongly convex loss, and exact optima of objectives."""

import numpy as np
import torch
from method_toys import PairTask, StepModel, StepTask, UserModel, fresh, toy_request, toy_world

from erase_ray.experiment.chain import attempt
from erase_ray.methods._curvature import weighted_batches

NUM_DRAWS = 4
FREE = {"num_negatives": NUM_DRAWS, "max_rise": float("inf"), "tolerance": 1e-12}
"""Settings for oracles: no safeguard, solved to the last digit."""
EVERYBODY = FREE | {"num_retain": 10_000, "max_iterations": 500}


def _freeze(model, name):
    vectors = getattr(model, name).detach().clone()
    delattr(model, name)
    model.register_buffer(name, vectors)


class ConvexUsers(UserModel):
    """Users against fixed items."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        _freeze(self, "item")

    def item_tables(self):
        return {}


class ConvexSteps(StepModel):
    """Softmax regression on fixed vectors; examples draw nothing."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        _freeze(self, "before")

    def reset(self, generator):
        super().reset(generator)
        self.before.normal_(generator=generator)


TASKS = {ConvexUsers: PairTask, ConvexSteps: StepTask}


def make(kind, table, rows, **options):
    """A random model and a request on it."""
    return fresh(kind, table), toy_request(toy_world(TASKS[kind](), table), rows, **options)


def optimum(kind, table, examples, damping, seed=7):
    """The model at the minimum of the sum of losses plus (damping/2)‖θ‖²."""
    model = fresh(kind, table)
    batches = weighted_batches(examples, 1 / len(examples), len(examples), seed, NUM_DRAWS)
    weights = list(model.parameters())
    optimiser = torch.optim.LBFGS(
        weights,
        max_iter=2000,
        tolerance_grad=1e-13,
        tolerance_change=1e-16,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = sum(one.weight * model.loss(one.batch).sum() for one in batches)
        size = sum(weight.square().sum() for weight in weights)
        loss = loss + damping / (2 * len(examples)) * size
        loss.backward()
        return loss

    optimiser.step(closure)
    model.zero_grad()
    return model


def left_of(request):
    world = request.world
    return world.task.examples(request.after, world.split, world.cut)


@torch.no_grad()
def flat(model):
    return torch.cat([weight.flatten() for weight in model.parameters()]).clone()


def apart(one, other):
    return (flat(one) - flat(other)).norm().item()


class ToyChain:
    """Serves one request after the other, as the chain runner does."""

    def __init__(self, method, model, world, seeds=None):
        self.method, self.model, self.world = method, model, world
        self.forgotten, self.asked = np.zeros(0, np.int64), []
        self.seeds, self.state = seeds, dict(method.begin(model, world))
        self.size = len(world.examples)

    def next_request(self, rows, **options):
        seed = self.seeds(len(self.forgotten)) if self.seeds else 7
        request = toy_request(self.world, rows, self.forgotten, self.asked, seed=seed, **options)
        request.training_size, request.state = self.size, self.state
        return request

    def serve(self, rows, **options):
        request = self.next_request(rows, **options)
        outcome, _ = attempt(self.method, self.model, request)
        self.size += len(request.cleaned) - len(request.forget)
        self.forgotten = np.append(self.forgotten, request.spec.rows)
        self.asked = [*self.asked, *request.spec.users.tolist()]
        return outcome

    def left(self):
        table = self.world.interactions.without(self.forgotten)
        return self.world.task.examples(table, self.world.split, self.world.cut)
