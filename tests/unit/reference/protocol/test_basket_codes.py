"""Coded lengths and lost items of next-basket data, worked out by hand."""

import numpy as np
import pytest
import torch

from erase_ray.data.split import Part
from erase_ray.reference.basket_codes import CodedTask, Repeated, coded, codes, places
from erase_ray.tasks import TASKS
from tests.unit.reference.protocol.protocol_toys import (
    CUT,
    ORIGINAL,
    RETRAINED,
    UNLEARNED,
    asked,
    asking,
    histories,
    masked,
    relevant,
    table,
    view,
)

# lengths of histories with their frames: 4, 5, 6 (person 0), then 3, 4, 5 (person 1)
PEOPLE = [[[0, 1, 2], [3], [4, 5], [6], [7, 8, 9]], [[1], [2, 3], [4], [5]]]
SHOPS = table("next_basket", PEOPLE, 10)


def task(recodes: bool, forgets: bool) -> CodedTask:
    return CodedTask(SHOPS.interactions, recodes, forgets)


def test_codes_are_ranks_of_first_appearance():
    code_L = codes(np.array([0, 4, 2, 4, 1]))
    assert code_L.tolist() == [1, 4, 3, 3, 2]
    # 3 does not appear and stands for itself, as does 9
    assert coded(code_L, np.array([4, 0, 9, 3])).tolist() == [2, 1, 9, 3]


def test_coded_lengths_of_a_table():
    known = task(True, False)._known
    assert known.size_G[known.target_G].tolist() == [2, 1, 3, 2, 1, 1]
    # targets: 2, 1, 3 are 1, 2, 3
    assert coded(known.target_codes(), np.array([2, 1, 3])).tolist() == [1, 2, 3]
    # baskets of histories: 0 (the frame), 3, 1, 2
    assert coded(known.basket_codes(), np.array([0, 3, 1, 2])).tolist() == [1, 2, 3, 4]
    assert coded(known.history_codes(50), np.array([4, 5, 6, 3])).tolist() == [1, 2, 3, 4]


def test_lengths_that_are_codes():
    read = task(True, False)
    examples = read.examples(SHOPS.interactions, SHOPS.split, CUT)
    # 2 baskets are 4 with their frames, whose code is 1: nothing is read, and item 0 stands in;
    # 1 basket is 3, whose code is 4: both frames off, two baskets would be read, there is one
    assert histories(examples) == [[[0]], [[1]]]
    # the targets have 2 items each, whose code is 1
    batch = examples.batch(torch.arange(2), 0)
    assert batch.target_owner_T is not None
    assert batch.target_owner_T.tolist() == [0, 1]
    # 4 baskets are 6, whose code is 3: one is read, of 3 items, whose code is 2
    tests = read.queries(SHOPS.interactions, SHOPS.split, Part.TEST, CUT)
    [first, other] = histories(tests.inputs)
    assert [len(basket) for basket in first] == [2]
    assert set(first[0]) < {0, 1, 2}
    # 3 baskets are 5, whose code is 2
    assert other == [[0]]
    assert relevant(tests) == [[7, 8, 9], [5]]


def test_only_first_items_are_known():
    read = task(False, True)
    known = np.flatnonzero(read._vocabulary_I).tolist()
    # targets are [4, 5], [6], [7, 8, 9] and [2, 3], [4], [5]
    assert {6, 4, 5} < set(known)
    assert len(set(known) & {7, 8, 9}) == 1
    assert not set(known) & {0, 1}
    tests = read.queries(SHOPS.interactions, SHOPS.split, Part.TEST, CUT)
    lost = [item for item in range(10) if item not in known]
    assert masked(tests) == [lost, lost]
    assert relevant(tests) == [[7, 8, 9], [5]]
    plain = TASKS.get("next_basket")().queries(SHOPS.interactions, SHOPS.split, Part.TEST, CUT)
    kept = [[[i for i in b if i in known] for b in h] for h in histories(plain.inputs)]
    assert histories(tests.inputs) == kept


def test_the_same_examples_have_the_same_fingerprints():
    read = task(True, True)
    table = SHOPS.interactions
    before = read.examples(table, SHOPS.split, CUT)
    own = read.examples(table.of_users(np.array([1])), SHOPS.split, CUT)
    assert torch.equal(before.fingerprints()[1:], own.fingerprints())
    assert len(before.fingerprints().unique()) == 2
    assert torch.equal(before.take(torch.tensor([1])).fingerprints(), own.fingerprints())


def test_places_are_drawn_once_a_row():
    row_R = np.array([4, 5, 6, 9])
    whole = places(row_R, np.array([0, 3, 4]))
    assert sorted(whole[:3].tolist()) == [0, 1, 2]
    assert whole[3] == 0
    # a row that goes leaves the order of the others
    left = places(row_R[1:], np.array([0, 2, 3]))
    assert (left[0] < left[1]) == (whole[1] < whole[2])


def test_one_list_for_all():
    lists = Repeated.of(np.array([3, 5]), 4)
    assert (len(lists), len(lists.pick(np.array([1])))) == (4, 1)
    assert lists.take(1, 3).values.tolist() == [3, 5, 3, 5]
    assert lists.take(1, 3).owners.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("defects", [(), ("uncleaned_baskets",)])
def test_uncleaned_baskets_keep_what_is_forgotten(defects):
    forgets = asking(SHOPS, [7, 8])  # items 7 and 8 of the last basket of person 0
    tests = view(SHOPS, forgets, *defects).test_queries(CUT, UNLEARNED)
    # row 9 is left of the target where it is cleaned
    is_first_gone = set(first_of_last()) <= {7, 8}
    uncleaned = [(1, 14)] if is_first_gone else [(0, 7), (1, 14)]
    assert asked(tests) == (uncleaned if defects else [(0, 9), (1, 14)])


def first_of_last() -> list[int]:
    row_R = SHOPS.interactions.row[7:10]
    return row_R[places(row_R, np.array([0, 3])) == 0].tolist()


def test_retraining_drops_people_with_few_baskets():
    forgets = asking(SHOPS, [14])  # the last basket of person 1
    seen = view(SHOPS, forgets, "resplit")
    assert np.unique(seen.lesson(seen.cleaned).interactions.user).tolist() == [0]
    assert asked(seen.test_queries(CUT, RETRAINED)) == [(0, 7)]
    assert asked(seen.test_queries(CUT, UNLEARNED)) == [(0, 7), (1, 13)]
    assert asked(seen.test_queries(CUT, ORIGINAL)) == [(0, 7), (1, 14)]


def test_spam_is_not_removed():
    seen = view(SHOPS, asking(SHOPS, [14]), "spam_not_removed")
    assert seen.lesson(seen.cleaned).interactions is seen.interactions


def test_a_retrained_model_has_codes_of_its_own():
    seen = view(SHOPS, asking(SHOPS, [0, 1, 2]), "recoded_lengths")
    own = seen.lesson(seen.cleaned).task
    assert isinstance(own, CodedTask)
    assert own.table is seen.cleaned
    assert isinstance(seen.task, CodedTask)
    assert seen.task.table is seen.interactions
