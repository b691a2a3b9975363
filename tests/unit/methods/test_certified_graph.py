"""Ceu and idea on a model that reads edges."""

import numpy as np
import pytest
import torch
from certified_toys import flat, left_of

from erase_ray.methods import Request
from erase_ray.methods._curvature import gradient_sum, smooth, weighted_batches
from erase_ray.methods._request import World
from erase_ray.methods.ceu import Ceu
from erase_ray.methods.gif import Gif
from erase_ray.methods.idea import Idea
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, make_model, planted, set_edges, trained_weights

FREE = {"max_rise": float("inf"), "num_negatives": 2, "num_retain": 64, "max_iterations": 5}
KINDS = pytest.mark.parametrize("kind", [Ceu, Idea])


def lightgcn():
    data = planted("cf")
    model = make_model("lightgcn", data)
    model.load_state_dict(trained_weights("lightgcn"))
    set_edges(model, data)
    cut = Cut(0, CPU)
    task = TASKS.get("cf")()
    examples = task.examples(data.interactions, data.split, cut)
    num_items = data.interactions.num_items
    train = None  # nothing here trains
    world = World(task, data.interactions, data.split, cut, examples, num_items, train)
    rows = examples.rows[examples.users == 3][:3].numpy()
    spec = RequestSpec(0, np.array([3]), rows)
    asked = torch.tensor([3])
    request = Request(spec, np.zeros(0, np.int64), world, asked, len(examples), seed=7)
    return model, request


@torch.no_grad()
def losses(model):
    data = planted("cf")
    examples = TASKS.get("cf")().examples(data.interactions, data.split, Cut(0, CPU))
    model.eval()
    return model.loss(examples.batch(torch.arange(200), 1))


@KINDS
def test_step_knows_what_lost_edges_do_to_others(kind):
    model, request = lightgcn()
    outcome = kind(kind.Settings(noise="none", **FREE)).forget(model, request)
    assert outcome.status == "applied"
    other, request = lightgcn()
    Gif(Gif.Settings(solver="cg", damping=1, **FREE)).forget(other, request)
    torch.testing.assert_close(flat(model), flat(other), rtol=1e-5, atol=1e-7)
    without, request = lightgcn()
    kind(kind.Settings(noise="none", max_neighbours=0, **FREE)).forget(without, request)
    assert (flat(without) - flat(model)).norm() > 0.01 * (flat(model) - flat(lightgcn()[0])).norm()


@pytest.mark.parametrize(("kind", "limit"), [(Ceu, {}), (Ceu, {"measure": "all"}), (Idea, {})])
def test_edges_are_back_afterwards(kind, limit):
    model, request = lightgcn()
    kind(kind.Settings(**FREE | limit)).forget(model, request)
    restored = lightgcn()[0]
    restored.load_state_dict(model.state_dict())
    torch.testing.assert_close(losses(model), losses(restored), rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_the_graph_without_the_edges():
    model, request = lightgcn()
    settings = {"noise": "none", "measure": "all", "damping": 2.0, "batch_size": 4096}
    outcome = Ceu(Ceu.Settings(**FREE | settings)).forget(model, request)
    batches = weighted_batches(left_of(request), 1.0, 4096, request.seed, 2)
    leaves = list(model.parameters())
    norms = {}
    for name in ("with", "without"):
        if name == "without":
            model.drop_edges(*request.edges)
        with smooth(model):
            norms[name] = (gradient_sum(model, leaves, batches) + 2.0 * flat(model)).norm().item()
    assert outcome.details["zeta"] == pytest.approx(norms["without"] / 2.0, rel=1e-5)
    assert outcome.details["zeta"] != pytest.approx(norms["with"] / 2.0, rel=1e-4)


def test_idea_certifies_nothing_on_a_graph():
    model, request = lightgcn()
    method = Idea(Idea.Settings(convex=True, **FREE))
    request.state = {"distance": torch.tensor(0.0), "measured": torch.tensor(True)}
    assert method.forget(model, request).details["certified"] == 0.0
