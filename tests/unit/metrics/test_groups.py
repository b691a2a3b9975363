"""Groups by hand."""

import numpy as np

from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.evaluation import measure
from erase_ray.metrics import METRICS, Answers, Population
from erase_ray.metrics._groups import ITEM_GROUPS, QUERY_GROUPS

# sequences 0, 1 and 2 have 3, 2 and 1 train rows and one test row each, at the end of each
SEQUENCE = [0, 0, 0, 0, 1, 1, 1, 2, 2]
ITEM = [4, 4, 1, 0, 4, 1, 2, 4, 3]
TEST_ROWS = np.array([3, 6, 8])


def table() -> tuple[Interactions, Split]:
    step = [0, 1, 2, 3, 0, 1, 2, 0, 1]
    user = [0, 0, 0, 0, 1, 1, 1, 1, 1]
    columns = {"user": user, "sequence": SEQUENCE, "step": step, "item": ITEM, "time": step}
    marks = np.zeros(9, np.int8)
    marks[TEST_ROWS] = 2
    return Interactions.prepared({k: np.array(v) for k, v in columns.items()}), Split(marks)


def asked(population_of=lambda table: table) -> tuple[Population, Answers]:
    interactions, split = table()
    left = population_of(interactions)
    ranked = np.array([[0, 1, 2], [1, 4, 2], [0, 1, 2]], np.int32)
    relevant = Csr(np.array([0, 1, 3, 4]), np.array([0, 2, 4, 3], np.int32))
    users, items = np.array([0, 1, 1]), np.zeros(5, bool)
    answers = Answers(ranked, relevant, items, None, users, TEST_ROWS)
    return Population.of(left, split, np.array([1])), answers


def test_queries_of_requesters_and_of_others():
    population, answers = asked()
    assert QUERY_GROUPS["requesters"](population, answers).tolist() == [False, True, True]
    assert QUERY_GROUPS["others"](population, answers).tolist() == [True, False, False]


def test_active_sequences_have_more_train_rows_than_the_median():
    population, answers = asked()  # 3, 2 and 1 rows: the median is 2
    assert QUERY_GROUPS["active"](population, answers).tolist() == [True, False, False]
    assert QUERY_GROUPS["inactive"](population, answers).tolist() == [False, True, True]


def test_activity_is_that_of_the_cleaned_table():
    """Without its first two rows, sequence 0 has one train row, and sequence 1 the most."""
    population, answers = asked(lambda table: table.without(np.array([0, 1])))
    assert QUERY_GROUPS["active"](population, answers).tolist() == [False, True, False]


def test_the_fifth_of_the_items_with_most_train_rows_is_popular():
    population, _ = asked()  # item 4 has four train rows, item 1 two, the others none
    assert ITEM_GROUPS["popular"](population).tolist() == [False] * 4 + [True]
    assert ITEM_GROUPS["tail"](population).tolist() == [True] * 4 + [False]


def test_only_relevant_items_of_the_group_count():
    population, answers = asked()
    recall, precision = METRICS.get("recall")(), METRICS.get("precision")()
    found = {
        m.metric: (m.value, m.n) for m in measure(answers, [recall, precision], [3], population)
    }
    # the second query alone has the popular item, at rank 2
    assert found["recall.popular"] == (1.0, 1)
    assert found["precision.popular"] == (1 / 3, 1)
    # item 0 at rank 1, item 2 at rank 3, item 3 not at all
    assert found["recall.tail"] == (2 / 3, 3)
    assert found["recall"] == (2 / 3, 3)
    assert found["recall.requesters"] == (0.5, 2)
    assert found["recall.others"] == (1.0, 1)


def test_a_table_without_rows_has_no_active_ones():
    interactions, split = table()
    nothing = interactions.without(np.arange(9))
    population = Population.of(nothing, split, np.zeros(0, np.int64))
    assert not population.active_R.any()
    assert not population.requester_U.any()
