"""Attacks on models that were really trained: four shadow models of two kinds."""

import functools

import numpy as np
import pytest
import torch
from audit_toys import audit, by_name, membership

from erase_ray.audits import Observations
from erase_ray.audits._observe import observe_examples, observe_queries
from erase_ray.data.split import Part
from erase_ray.models import TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train
from tests.conftest import CPU, make_model, planted

NUM_MODELS, NUM_REQUESTS, SIZE = 4, 60, 4


@functools.cache
def observed() -> tuple[Observations, Observations]:
    """60 people ask that 4 of their rows be forgotten; the original models, and retrained ones."""
    data, task = planted("cf"), TASKS.get("cf")()
    table, draws = data.interactions, np.random.default_rng(0)
    trained = table.row[data.split.select(table, Part.TRAIN)]
    people = draws.permutation(table.num_users)[:NUM_REQUESTS]
    own = [trained[table.user[trained] == user] for user in people]
    rows_RS = np.stack([np.sort(draws.permutation(rows)[:SIZE]) for rows in own])
    member_KR = membership(NUM_MODELS, NUM_REQUESTS, draws)
    examples = task.examples(table, data.split, Cut(0, CPU))
    place = np.searchsorted(examples.rows.numpy(), rows_RS.ravel())
    examples = examples.take(torch.from_numpy(place))
    left = table.without(rows_RS.ravel())
    asked = task.queries(left, data.split, Part.TEST, Cut(0, CPU))
    training = TrainingSettings(epochs=20, batch_size=64, learning_rate=5e-3, patience=100)
    model = make_model("bpr", data)

    def says(seen, seed: int) -> tuple[np.ndarray, np.ndarray]:
        train(model, task, seen, data.split, training, seed, CPU)
        return observe_examples(model, examples), observe_queries(model, asked)

    outs = [table.without(rows_RS[~member_R].ravel()) for member_R in member_KR]
    before = [says(seen, seed) for seed, seen in enumerate(outs)]
    after = [says(left, 100 + seed) for seed in range(NUM_MODELS)]
    known, unlearned = (tuple(map(np.stack, zip(*each, strict=True))) for each in (before, after))
    request_N = np.repeat(np.arange(NUM_REQUESTS), SIZE)
    who = member_KR[:, request_N], request_N

    def made(at_end) -> Observations:
        return Observations(known[0], at_end[0], *who, known[1], at_end[1], 5)

    return made(known), made(unlearned)


@pytest.mark.parametrize("name", ["rmia", "ulira"])
def test_the_original_gives_away_what_it_was_trained_on(name):
    found = by_name(audit(name, shadows=4).findings(observed()[0]))
    assert found["auc"] > 0.7
    assert found["auc_low"] > 0.5


@pytest.mark.parametrize("name", ["rmia", "ulira"])
def test_a_retrained_model_gives_nothing_away(name):
    found = by_name(audit(name, shadows=4).findings(observed()[1]))
    assert found["at_chance"] == 1
    assert abs(found["auc"] - 0.5) < 0.05
