"""What every method and every metric must do. The package has to be installed."""

import numpy as np
import pytest
from erase_ray_fade.average_precision import AveragePrecision

from erase_ray.contract import Candidate, NotApplicableError, checks_of
from erase_ray.data.csr import Csr
from erase_ray.metrics import Answers

CASES = [
    (Candidate(kind, name), check)
    for kind, name in (("method", "fade"), ("metric", "average_precision"))
    for check in checks_of(kind)
]


@pytest.mark.parametrize(("part", "check"), CASES, ids=str)
def test_contract(part, check):
    """Each check of both parts."""
    try:
        check.run(part, quick=True)
    except NotApplicableError as reason:
        pytest.skip(str(reason))


def test_average_precision_of_a_list_is_what_the_book_says():
    """By hand."""
    # relevant: 3, 5 and 9; found at the ranks 1 and 3
    answers = Answers(
        np.array([[3, 7, 5, 1]], np.int32),
        Csr.of_pairs(np.zeros(3, np.int64), np.array([3, 5, 9]), 1),
        np.zeros(10, bool),
    )
    assert AveragePrecision().per_query(answers, 4).tolist() == pytest.approx([(1 + 2 / 3) / 3])
    assert AveragePrecision().per_query(answers, 1).tolist() == [1.0]
