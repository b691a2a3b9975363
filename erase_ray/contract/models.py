"""What every model must do."""

import functools
import json

import numpy as np
import torch
from safetensors.torch import load, save

from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, NotApplicableError, expect
from erase_ray.contract._saying import SAYING
from erase_ray.contract.planted import (
    BRIEF,
    CPU,
    SEED,
    examples_of,
    make_model,
    planted,
    same_state,
    sensitive_rows,
    shuffle_generators,
    state_of,
    trained,
)
from erase_ray.data.prepared import Prepared
from erase_ray.models import Model
from erase_ray.tasks import TASKS, Examples
from erase_ray.training import train, training_edges

SELECTING = ("recall", "mrr", "ndcg", "hit")
"""Metrics that pick the best epoch."""


def serves_a_known_task(candidate: Candidate) -> None:
    """Its task is one of the benchmark's."""
    task, known = getattr(candidate.cls, "task", ""), TASKS.names()
    expect(task in known, f"set task to one of {', '.join(known)}; got '{task}'")


def has_training_defaults(candidate: Candidate) -> None:
    """How it is trained by default."""
    metric = candidate.cls.training.select_metric
    expect(
        metric in SELECTING,
        f"training.select_metric must be one of {', '.join(SELECTING)}, got '{metric}'",
    )


def loss_is_one_number_an_example(candidate: Candidate) -> None:
    """Shape ``(B,)``, finite."""
    model, _, examples = _ready(candidate)
    loss_B = model.loss(examples.batch(torch.arange(7), seed=3))
    expect(
        tuple(loss_B.shape) == (7,),
        f"loss of 7 examples must have the shape (7,), got {tuple(loss_B.shape)}; take no mean",
    )
    expect(bool(torch.isfinite(loss_B).all()), f"loss must be finite, got {loss_B.tolist()}")
    expect(
        loss_B.requires_grad or not model.learns,
        "loss has no gradient: compute it from the parameters, without detach or no_grad",
    )


def loss_does_not_depend_on_neighbours(candidate: Candidate) -> None:
    """An example has the same loss alone and in a batch."""
    model, _, examples = _ready(candidate)
    model.eval()
    together = model.loss(examples.batch(torch.arange(6), seed=3))
    alone = [model.loss(examples.batch(torch.tensor([i]), seed=3)) for i in range(6)]
    expect(
        torch.allclose(together, torch.cat(alone), rtol=1e-4, atol=1e-6),
        f"in evaluation mode an example's loss depends on the others of its batch: "
        f"{together.tolist()} together, {torch.cat(alone).tolist()} one by one; use neither batch "
        "norm nor in-batch negatives, and mind the padding",
    )


def scores_rank_the_whole_catalogue(candidate: Candidate) -> None:
    """Shape ``(B, I)``, finite."""
    model, data, examples = _ready(candidate)
    model.eval()
    scores_BI = model.scores(examples.inputs(torch.arange(5)))
    wanted = (5, data.interactions.num_items)
    expect(
        tuple(scores_BI.shape) == wanted,
        f"scores of 5 examples must have the shape {wanted}, one for every item, got "
        f"{tuple(scores_BI.shape)}",
    )
    expect(bool(torch.isfinite(scores_BI).all()), "scores must be finite")


def scores_do_not_draw(candidate: Candidate) -> None:
    """In evaluation mode the same question has the same answer."""
    model, _, examples = _ready(candidate)
    model.eval()
    inputs = examples.inputs(torch.arange(5))
    expect(
        torch.equal(model.scores(inputs), model.scores(inputs)),
        "scores differ when they are asked for twice in evaluation mode; draw nothing there",
    )


def reset_is_a_function_of_the_generator(candidate: Candidate) -> None:
    """First weights come from the generator alone."""
    model, _, _ = _ready(candidate)
    model.reset(torch.Generator().manual_seed(5))
    first = {name: value.clone() for name, value in model.named_parameters()}
    torch.rand(11)
    model.reset(torch.Generator().manual_seed(5))
    expect(
        all(torch.equal(first[name], value) for name, value in model.named_parameters()),
        "reset gave other weights for the same generator: pass generator=generator to every draw "
        "and set every parameter",
    )
    model.reset(torch.Generator().manual_seed(6))
    expect(
        not model.learns
        or any(not torch.equal(first[name], value) for name, value in model.named_parameters()),
        "reset gave the same weights for another generator: draw from it",
    )


def offers_are_its_own_parameters(candidate: Candidate) -> None:
    """Head and tables are parameters of the model, by their names."""
    model, data, _ = _ready(candidate)
    own = dict(model.named_parameters())
    head, users, items = model.head_parameters(), model.user_tables(), model.item_tables()
    for offer in (head, users, items):
        for name, parameter in offer.items():
            expect(
                own.get(name) is parameter,
                f"'{name}' is not what named_parameters() has under this name; use "
                "self.pick('name.weight')",
            )
    expect(
        bool(head) == model.learns,
        "head_parameters() must name the parameters next to the output"
        if model.learns
        else "a model that does not learn by gradients has no head",
    )
    sizes = ((users, data.interactions.num_users), (items, data.interactions.num_items))
    for tables, size in sizes:
        for name, table in tables.items():
            expect(table.shape[0] == size, f"the table '{name}' must have {size} rows")


def training_is_repeatable(candidate: Candidate) -> None:
    """Two training runs with one seed end in the same weights."""
    once, again = (_fitted(candidate, shuffled) for shuffled in (1, 2))
    expect(
        same_state(once, again),
        "two training runs with one seed gave other weights: draw from erase_ray.seeds, not from "
        "a global generator, and sum up in a fixed order",
    )


def weights_can_be_stored(candidate: Candidate) -> None:
    """All that it has learned is in its state."""
    model, data, examples = _ready(candidate)
    model.eval()
    fresh = make_model(candidate.name, data, **candidate.settings)
    fresh.load_state_dict(load(save({k: v.contiguous() for k, v in model.state_dict().items()})))
    if fresh.has_edges:
        fresh.set_edges(*training_edges(data.interactions, data.split, CPU))
    fresh.eval()
    inputs = examples.inputs(torch.arange(5))
    expect(
        torch.equal(model.scores(inputs), fresh.scores(inputs)),
        "a copy with the same state_dict scores otherwise: keep what is learned in parameters or "
        "persistent buffers",
    )


def edges_come_and_go(candidate: Candidate) -> None:
    """Dropping edges is like never having had them; restoring them undoes it."""
    model, data, examples = _ready(candidate)
    if not model.has_edges:
        raise NotApplicableError("it reads no edges")
    model.eval()
    inputs, gone = examples.inputs(torch.arange(5)), sensitive_rows(data)
    table = data.interactions
    edges = training_edges(table.only(gone), data.split, CPU)
    whole = model.scores(inputs)
    model.drop_edges(*edges)
    dropped = model.scores(inputs)
    model.set_edges(*training_edges(table.without(gone), data.split, CPU))
    expect(
        torch.allclose(dropped, model.scores(inputs), rtol=1e-4, atol=1e-6),
        "scores after drop_edges differ from those of a model that was given the other edges",
    )
    model.set_edges(*training_edges(table, data.split, CPU))
    model.drop_edges(*edges)
    model.restore_edges(*edges)
    expect(
        torch.allclose(whole, model.scores(inputs), rtol=1e-4, atol=1e-6),
        "scores after drop_edges and restore_edges differ from those before",
    )


def _ready(candidate: Candidate) -> tuple[Model, Prepared, Examples]:
    """A fresh copy of the briefly trained model, its data and its training examples."""
    model, data = trained(candidate.name, candidate.settings)
    return model, data, examples_of(model, data)


def _fitted(candidate: Candidate, shuffled: int) -> dict[str, torch.Tensor]:
    return _fit(candidate.name, json.dumps(candidate.settings), shuffled)


@functools.lru_cache(8)
def _fit(name: str, settings: str, shuffled: int) -> dict[str, torch.Tensor]:
    candidate = Candidate("model", name, json.loads(settings))
    data = planted(candidate.cls.task)
    model = make_model(name, data, **candidate.settings)
    shuffle_generators(shuffled)
    task, one = TASKS.get(data.task)(), BRIEF.model_copy(update={"epochs": 1})
    left = data.interactions.without(data.interactions.row[np.arange(0, len(data.interactions), 2)])
    train(model, task, left, data.split, one, SEED, CPU)
    return state_of(model)


CHECKS: tuple[Check, ...] = (
    *SAYING,
    Check("serves a known task", "Its task is one of the benchmark's.", serves_a_known_task),
    Check("has training defaults", "A known metric picks the best epoch.", has_training_defaults),
    Check(
        "loss is one number an example",
        "loss(batch) has the shape (B,), is finite and has a gradient.",
        loss_is_one_number_an_example,
    ),
    Check(
        "loss ignores neighbours",
        "In evaluation mode an example's loss does not depend on its batch.",
        loss_does_not_depend_on_neighbours,
    ),
    Check(
        "scores the whole catalogue",
        "scores(batch) has the shape (B, I) and is finite.",
        scores_rank_the_whole_catalogue,
    ),
    Check("scores do not draw", "The same question has the same answer.", scores_do_not_draw),
    Check(
        "reset follows its generator",
        "First weights come from the generator alone.",
        reset_is_a_function_of_the_generator,
    ),
    Check(
        "offers its own parameters",
        "Head and tables are its parameters, by name and size.",
        offers_are_its_own_parameters,
    ),
    Check(
        "training is repeatable",
        "One seed, one result, to the last bit.",
        training_is_repeatable,
    ),
    Check("weights can be stored", "All that it learned is in its state.", weights_can_be_stored),
    Check("edges come and go", "Dropped edges leave no trace.", edges_come_and_go),
)
