"""What every dataset, scenario and task must do."""

import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part
from erase_ray.datasets import DATASETS
from erase_ray.scenarios import SCENARIOS, Chain
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


SETTINGS = {
    "sensitive": {"category": "sensitive", "fraction": 0.05},
    "spam": {"ratio": 0.05},
    "account": {"fraction": 0.05},
}


def make_chain(name: str, task_name: str, seed: int = 2, **options) -> Chain:
    data, kind = planted(task_name), SCENARIOS.get(name)
    scenario = kind(kind.Settings(**SETTINGS.get(name, {}), **options), task_name)
    return scenario.build(data.interactions, data.split, data.catalogue, seed)


def poisoned(data: Prepared, chain: Chain) -> Interactions:
    real = data.interactions
    return real if chain.poison is None else real.appended(chain.poison)


@pytest.mark.parametrize("name", SCENARIOS.names())
@pytest.mark.parametrize("task_name", TASKS.names())
def test_scenario_makes_the_same_chain_again(name, task_name):
    data = planted(task_name)
    chains = [make_chain(name, task_name, seed) for seed in (2, 2, 3)]
    assert chains[0].hash == chains[1].hash
    assert chains[0].hash != chains[2].hash
    assert len(chains[0]) >= 4
    assert chains[0].marks[-1] == len(chains[0])
    assert (chains[0].poison is not None) == SCENARIOS.get(name).poisons
    rows = np.concatenate([request.rows for request in chains[0].requests])
    assert len(np.unique(rows)) == len(rows)
    table = poisoned(data, chains[0])
    for request in chains[0].requests:
        assert np.unique(table.user[request.rows]).tolist() == request.users.tolist()


@pytest.mark.parametrize("name", SCENARIOS.names())
@pytest.mark.parametrize("task_name", TASKS.names())
def test_marks_forget_the_same_rows_in_batches_of_any_size(name, task_name):
    chains = [make_chain(name, task_name, batch=batch) for batch in (1, 3)]
    assert len(chains[1]) < len(chains[0])
    table = poisoned(planted(task_name), chains[0])
    for mark in (1, 2, 3, 4):
        rows = [chain.rows(chain.marks[mark - 1]) for chain in chains]
        assert np.array_equal(*rows)
        assert len(table.without(rows[0])) + len(rows[0]) == len(table)


@pytest.mark.parametrize("name", SCENARIOS.names())
@pytest.mark.parametrize("task_name", TASKS.names())
def test_no_query_asks_for_or_shows_what_is_forgotten_or_fake(name, task_name):
    data, task = planted(task_name), TASKS.get(task_name)()
    chain = make_chain(name, task_name)
    table = poisoned(data, chain)
    split = data.split.extended(len(table) - len(data.interactions))
    left = table.without(chain.rows())
    for part in (Part.VALID, Part.TEST):
        # the base model is selected on valid queries over all rows
        users = task.queries(table, split, part, Cut(10, CPU)).users
        assert users.max() < data.interactions.num_users
        rows = task.queries(left, split, part, Cut(10, CPU)).inputs.rows.numpy()
        assert not np.isin(rows, chain.rows()).any()
    probes = task.probe(left, split, chain.probe, Cut(10, CPU))
    assert np.isin(probes.users, chain.probe).all()
    assert probes.users.max(initial=0) < data.interactions.num_users
    assert left.row.max() < len(data.interactions)
