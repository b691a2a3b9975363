"""What every dataset, scenario and task must do."""

import numpy as np
import pytest
import torch

from erase_ray.contract import Candidate, NotApplicableError, checks_of
from erase_ray.contract.planted import CPU, planted
from erase_ray.contract.scenarios import make_chain
from erase_ray.data.split import Part
from erase_ray.datasets import DATASETS
from erase_ray.scenarios import SCENARIOS
from erase_ray.tasks import TASKS, Cut

MADE = ("planted", "synthetic")
"""Datasets without raw files; test_formats_contract.py has made-up files for the others."""


@pytest.mark.parametrize("check", checks_of("dataset"), ids=str)
@pytest.mark.parametrize("name", DATASETS.names())
def test_dataset(name, check):
    try:
        check.run(Candidate("dataset", name))
    except NotApplicableError:
        assert name not in MADE


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


@pytest.mark.parametrize("check", checks_of("scenario"), ids=str)
@pytest.mark.parametrize("name", SCENARIOS.names())
def test_scenario(name, check):
    check.run(Candidate("scenario", name))


@pytest.mark.parametrize("name", SCENARIOS.names())
def test_chains_are_as_long_on_every_task_as_a_test_needs(name):
    assert all(len(make_chain(Candidate("scenario", name), task)) >= 4 for task in TASKS.names())
