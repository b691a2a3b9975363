"""Each check of a prepared dataset, on sound data and on data with the one fault it is about."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.experiment.data_checks import data_checks
from erase_ray.tasks.cf import Cf
from erase_ray.tasks.session_based import SessionBased
from tests.conftest import planted

TASKS = ("cf", "session_based", "next_basket")


def failures(prepared: Prepared) -> dict[str, str]:
    return {check.name: check.figures for check in data_checks(prepared) if check.status == "fail"}


def changed(prepared: Prepared, **columns: Any) -> Prepared:
    """With the first rows of some columns of the table replaced."""
    arrays = {}
    for name, head in columns.items():
        arrays[name] = getattr(prepared.interactions, name).copy()
        arrays[name][: len(head)] = head
    return replace(prepared, interactions=replace(prepared.interactions, **arrays))


@pytest.mark.parametrize("task", TASKS)
def test_sound_data_pass_all_but_the_empty_category(task):
    found = failures(planted(task))
    assert found == {"category 'nothing' is not empty": "0 items, 0 rows, 0 users"}


def test_figures_of_sound_data():
    found = {check.name: check.figures for check in data_checks(planted("cf"))}
    assert found["every id has one name"] == "300 users, 120 items, 300 sequences"
    assert found["rows are in order"] == "4,808 rows"
    assert found["split is by time"] == "train 4,138, valid 335, test 335"
    assert found["category 'sensitive' is not empty"] == "12 items, 449 rows, 196 users"


def test_two_items_of_one_name():
    data = planted("cf")
    vocabulary = data.vocabulary
    names = [vocabulary.items[1], *list(vocabulary.items)[1:]]
    wrong = replace(data, vocabulary=Vocabulary(vocabulary.users, names, vocabulary.sequences))
    text = failures(wrong)["every id has one name"]
    assert text == "item: 120 used, 119 different of 120 names"


def test_a_user_without_rows():
    data = planted("cf")
    vocabulary = data.vocabulary
    names = [*vocabulary.users, "nobody"]
    wrong = replace(data, vocabulary=Vocabulary(names, vocabulary.items, vocabulary.sequences))
    text = failures(wrong)["every id has one name"]
    assert text == "user: 300 used, 301 different of 301 names"


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"step": [2, 1, 0]}, "2 rows against the order of sequence and step"),
        ({"user": [1, 0]}, "1 sequences of two users"),
        ({"time": [2**60]}, "1 steps back in time"),
    ],
)
def test_order(columns, fault):
    assert fault in failures(changed(planted("cf"), **columns))["rows are in order"]


def test_order_inside_a_basket():
    data = planted("next_basket")
    first, second = data.interactions.item[:2]
    wrong = changed(data, item=[second, first])
    assert "1 items against the order in a step" in failures(wrong)["rows are in order"]


def test_duplicates():
    data = planted("next_basket")
    wrong = changed(data, item=[data.interactions.item[1]])
    assert failures(wrong)["no duplicates"].startswith("1 twice in one step, ")


def test_a_split_that_is_not_the_tasks():
    data = planted("cf")
    marks = data.split.marks.copy()
    last = np.flatnonzero(data.interactions.sequence == 0)[-1]
    marks[last] = 0
    text = failures(replace(data, split=Split(marks)))["split is by time"]
    assert "1 test or valid rows before an earlier part" in text
    assert "1 rows are not as the task 'cf' splits" in text


def test_a_sequence_without_train_rows():
    data = planted("cf")
    marks = data.split.marks.copy()
    marks[data.interactions.sequence == 3] = 2
    text = failures(replace(data, split=Split(marks)))["split is by time"]
    assert "1 sequences without train" in text


def test_examples_that_aim_at_test_rows(monkeypatch):
    data, honest = planted("cf"), Cf.examples
    everything = Split(np.zeros_like(data.split.marks))
    monkeypatch.setattr(
        Cf, "examples", lambda self, table, split, cut: honest(self, table, everything, cut)
    )
    text = failures(data)["train examples show train rows only"]
    assert text.startswith("4,808 examples, 670 aim at valid or test rows, histories change")


def test_examples_whose_histories_show_test_rows(monkeypatch):
    data, honest = planted("session_based"), SessionBased.examples

    def leaking(self, table, split, cut):
        examples = honest(self, table, split, cut)
        ends = examples.starts + examples.lengths
        later = (ends + 2).clamp(max=len(table)) - ends
        return replace(examples, lengths=examples.lengths + later)

    monkeypatch.setattr(SessionBased, "examples", leaking)
    text = failures(data)["train examples show train rows only"]
    assert text == (
        "6,088 examples, 0 aim at valid or test rows, histories change when valid and test rows "
        "are taken away"
    )


@pytest.mark.parametrize(("num_labels", "fails"), [(59, True), (60, False)])
def test_half_of_the_items_need_metadata(num_labels, fails):
    data = planted("cf")
    labels = ["label"] * num_labels + list(data.vocabulary.items)[num_labels:]
    found = failures(replace(data, catalogue=Catalogue(labels, {})))
    assert bool(found) == fails
    if fails:
        assert found == {
            "metadata and interactions share ids (50% or more)": (
                "59 of 120 items have a label (49%)"
            )
        }
