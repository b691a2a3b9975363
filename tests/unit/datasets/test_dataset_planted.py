"""Planted data holds the structure that it promises."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from erase_ray.datasets import DATASETS, RawData
from erase_ray.datasets.planted import Planted, truth
from tests.conftest import SCRATCH

TASKS = ("cf", "session_based", "next_basket")


def settings(task: str, **changes) -> Planted.Settings:
    return Planted.Settings(task=task, **changes)


def made(task: str, **changes) -> RawData:
    return Planted(settings(task, **changes)).read({}, SCRATCH)


@pytest.fixture(params=TASKS)
def task(request) -> str:
    return request.param


def test_it_is_found_by_name(task):
    assert DATASETS.get("planted") is Planted
    assert Planted(settings(task)).task == task


def test_same_seed_same_rows(task):
    first, again, other = made(task), made(task), made(task, seed=1)
    pd.testing.assert_frame_equal(first.frame(), again.frame())
    assert first.categories == again.categories
    assert not first.frame().equals(other.frame())


def test_sizes(task):
    raw = made(task)
    rows = raw.frame()
    assert rows["user"].nunique() == 300
    assert rows["item"].nunique() == len(raw.labels) == 120
    assert len(raw.categories["sensitive"]) == 12
    assert raw.categories["nothing"] == set()
    fewest = {"cf": 12, "session_based": 18, "next_basket": 18}[task]
    assert rows.groupby("user").size().min() >= fewest


def test_truth_names_groups_and_sensitive_items(task):
    answer = truth(settings(task))
    assert set(answer.sensitive) == made(task).categories["sensitive"]
    assert Counter(answer.user_groups.values()) == dict.fromkeys(range(6), 50)
    num_groups = {len(answer.item_groups[item]) for item in answer.sensitive}
    assert num_groups == {2}
    ordinary = [g for i, g in answer.item_groups.items() if i not in answer.sensitive]
    assert Counter(ordinary) == {(group,): 18 for group in range(6)}
    assert len(answer.inclined) == 150
    assert Counter(answer.user_groups[user] for user in answer.inclined) == dict.fromkeys(
        range(6), 25
    )


def test_people_take_the_items_of_their_group(task):
    answer, rows = truth(settings(task)), made(task).frame()
    users, items = answer.user_groups, answer.item_groups
    share = np.mean([users[u] in items[i] for u, i in zip(rows["user"], rows["item"], strict=True)])
    # cf draws a few items of other groups, the others none
    assert share == 1.0 if task != "cf" else 0.75 < share < 0.95


def test_most_sensitive_rows_are_of_inclined_people_and_they_are_many(task):
    answer, rows = truth(settings(task)), made(task).frame()
    sensitive = rows[rows["item"].isin(answer.sensitive)]
    is_inclined = sensitive["user"].isin(answer.inclined)
    assert is_inclined.mean() > 0.85
    assert sensitive["user"].nunique() >= 120
    # a request is a small part of what a person did
    assert 0.05 < len(sensitive) / len(rows) < 0.15


def test_sequences_belong_to_one_user_and_go_with_time(task):
    rows = made(task).frame()
    by_sequence = rows.groupby("sequence")
    assert (by_sequence["user"].nunique() == 1).all()
    ordered = rows.sort_values(["sequence", "step"])
    gap = ordered.groupby("sequence")["time"].diff().dropna()
    assert (gap >= 0).all()
    assert not rows.duplicated(["sequence", "step", "item"]).any()


def test_items_of_a_user_do_not_repeat_in_cf():
    assert not made("cf").frame().duplicated(["user", "item"]).any()


def hits(guesses: list[list[str]], answers: list[set[str]]) -> float:
    """Share of the guessed lists that hold a right item."""
    return float(np.mean([bool(set(g) & a) for g, a in zip(guesses, answers, strict=True)]))


def popular(rows: pd.DataFrame, count: int) -> list[str]:
    return rows["item"].value_counts().index[:count].tolist()


def test_the_last_choice_is_told_by_the_group_and_not_by_popularity():
    rows = made("cf").frame()
    answer = truth(settings("cf"))
    last = rows.groupby("user")["step"].transform("max") == rows["step"]
    known, asked = rows[~last], rows[last]
    seen = known.groupby("user")["item"].agg(set)
    of_group = known.assign(group=known["user"].map(answer.user_groups)).groupby("group")
    best = {group: table["item"].value_counts().index.tolist() for group, table in of_group}
    answers = [{item} for item in asked["item"]]
    guesses = [
        [item for item in best[answer.user_groups[user]] if item not in seen[user]][:10]
        for user in asked["user"]
    ]
    ranked = popular(known, 120)
    plain = [[item for item in ranked if item not in seen[user]][:10] for user in asked["user"]]
    assert hits(guesses, answers) > 0.75
    assert hits(plain, answers) < 0.4


def test_the_next_click_is_told_by_the_one_before():
    rows = made("session_based").frame().sort_values(["sequence", "step"])
    after = rows.groupby("sequence")["item"].shift(-1)
    pairs = rows.assign(after=after).dropna()
    last = ~pairs.duplicated("sequence", keep="last")
    known, asked = pairs[~last], pairs[last]
    table = known.groupby("item")["after"].agg(lambda column: column.value_counts().index[:3])
    guesses = [list(table[item]) for item in asked["item"]]
    answers = [{item} for item in asked["after"]]
    assert hits(guesses, answers) > 0.8
    assert hits([popular(rows, 3)] * len(asked), answers) < 0.1


def test_the_next_basket_is_told_by_what_the_person_bought_before():
    rows = made("next_basket").frame()
    last = rows.groupby("user")["step"].transform("max") == rows["step"]
    known, asked = rows[~last], rows[last]
    answers = asked.groupby("user")["item"].agg(set)
    favourites = known.groupby("user")["item"].agg(lambda column: column.value_counts().index[:3])
    guesses = [list(favourites[user]) for user in answers.index]
    assert hits(guesses, answers.tolist()) > 0.85
    assert hits([popular(known, 3)] * len(answers), answers.tolist()) < 0.25


def test_other_sizes(task):
    raw = made(task, num_users=31, num_items=53, num_sensitive=3, num_groups=4)
    assert raw.frame()["user"].nunique() == 31
    assert len(raw.categories["sensitive"]) == 3


def test_too_few_items_for_the_groups():
    text = "38 ordinary items are too few for 4 groups; num_items - num_sensitive must be 40 or"
    with pytest.raises(ValidationError, match=text):
        settings("cf", num_items=40, num_sensitive=2, num_groups=4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"num_groups": 3}, r"num_groups\n\s+Input should be a multiple of 2"),
        ({"inclined_share": 0.0}, r"inclined_share\n\s+Input should be greater than 0"),
        ({"num_user": 3}, r"num_user\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(change, text):
    with pytest.raises(ValidationError, match=text):
        settings("cf", **change)
