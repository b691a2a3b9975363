"""What every dataset, scenario, metric and task must do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.csr import Csr
from erase_ray.data.split import Part
from erase_ray.datasets import DATASETS
from erase_ray.metrics import METRICS, Answers
from erase_ray.scenarios import SCENARIOS
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, planted


@pytest.mark.parametrize("name", DATASETS.names())
def test_dataset_says_what_it_is(name):
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings())
    assert dataset.task in TASKS.names()
    assert all(size > 0 for size in kind.rough_size)
    assert kind.__doc__
    for source in kind.sources:
        assert len(source.sha256) == 64
        assert source.members


@pytest.mark.parametrize("task_name", TASKS.names())
def test_split_marks_every_row_and_no_part_is_empty(task_name):
    data = planted(task_name)
    marks = data.split.of(data.interactions)
    assert len(marks) == len(data.interactions)
    assert set(np.unique(marks)) == {0, 1, 2}


@pytest.mark.parametrize("task_name", TASKS.names())
def test_examples_aim_at_train_rows_only(task_name):
    data = planted(task_name)
    examples = TASKS.get(task_name)().examples(data.interactions, data.split, Cut(10, CPU))
    assert len(examples) > 0
    assert set(data.split.marks[examples.rows.numpy()]) == {int(Part.TRAIN)}
    assert torch.equal(examples.rows, examples.rows.sort().values)


@pytest.mark.parametrize("task_name", TASKS.names())
@pytest.mark.parametrize("part", [Part.VALID, Part.TEST])
def test_queries_ask_for_rows_of_their_part(task_name, part):
    data = planted(task_name)
    queries = TASKS.get(task_name)().queries(data.interactions, data.split, part, Cut(10, CPU))
    assert len(queries) > 0
    assert set(data.split.marks[queries.inputs.rows.numpy()]) == {int(part)}
    assert (queries.relevant.lengths > 0).all()


@pytest.mark.parametrize("name", SCENARIOS.names())
@pytest.mark.parametrize("task_name", TASKS.names())
def test_scenario_makes_the_same_chain_again(name, task_name):
    data = planted(task_name)
    kind = SCENARIOS.get(name)
    scenario = kind(kind.Settings(category="sensitive", fraction=0.05))
    chains = [
        scenario.build(data.interactions, data.split, data.catalogue, seed) for seed in (2, 2, 3)
    ]
    assert chains[0].hash == chains[1].hash
    assert chains[0].hash != chains[2].hash
    assert len(chains[0]) >= 4
    assert chains[0].marks[-1] == len(chains[0])
    rows = np.concatenate([request.rows for request in chains[0].requests])
    assert len(np.unique(rows)) == len(rows)
    for request in chains[0].requests:
        assert set(data.interactions.user[request.rows]) == {request.user}


@given(st.integers(0, 2**32 - 1))
def test_metrics_are_shares(seed):
    rng = np.random.default_rng(seed)
    ranked = np.stack([rng.permutation(30)[:20] for _ in range(5)]).astype(np.int32)
    owners, values = rng.integers(0, 5, 12), rng.integers(0, 30, 12)
    answers = Answers(ranked, Csr.of_pairs(owners, values, 5), rng.random(30) < 0.2)
    for name in METRICS.names():
        metric = METRICS.get(name)()
        assert metric.better in ("up", "down")
        assert metric.asks in ("test", "probe")
        values_Q = metric.per_query(answers, 10)
        assert values_Q.shape == (5,)
        counted = values_Q[~np.isnan(values_Q)]
        assert ((counted >= 0) & (counted <= 1)).all()
