"""What can stand for the rows to forget."""

import numpy as np
import pandas as pd
import pytest

from erase_ray.api._rows import positions_of
from erase_ray.errors import DataError

FRAME = pd.DataFrame({"user": list("aabb"), "item": [1, 2, 3, 4]}, index=list("wxyz"))
NUMBERED = FRAME.set_axis([10, 20, 30, 40])
TWICE = FRAME.set_axis([1, 1, 2, 3])


@pytest.mark.parametrize(
    ("frame", "rows", "places"),
    [
        (FRAME, FRAME["item"] > 2, [2, 3]),
        (FRAME, [False, True, False, False], [1]),
        (FRAME, np.array([True, False, False, True]), [0, 3]),
        (FRAME, ["z", "x", "x"], [1, 3]),
        (FRAME, [3, 0], [0, 3]),
        (FRAME, FRAME[FRAME["user"] == "b"], [2, 3]),
        (FRAME, FRAME.index[:1], [0]),
        (NUMBERED, [40, 10], [0, 3]),
        (NUMBERED, pd.Series([20]), [1]),
        (TWICE, [True, False, False, False], [0]),
    ],
)
def test_masks_labels_positions_and_parts(frame, rows, places):
    assert positions_of(frame, rows).tolist() == places


@pytest.mark.parametrize(
    ("frame", "rows", "text"),
    [
        (FRAME, [True, False], "2 entries, the frame has 4"),
        (FRAME, [False] * 4, "False everywhere"),
        (FRAME, [], "rows is empty"),
        (FRAME, ["w", "q"], "1 of 2 rows are not in the index of the frame, such as 'q'"),
        (FRAME, [4], "row 4 is not in the frame, which has 4 rows"),
        (FRAME, [-1], "row -1 is not in the frame"),
        (NUMBERED, [0], "1 of 1 rows are not in the index of the frame, such as 0"),
        (NUMBERED, FRAME["item"] > 2, "the mask of rows has another index"),
        (TWICE, [2], r"index of the frame is not unique \(such as 1\)"),
        (FRAME, "w", "rows must be a mask, labels or positions of the frame, got str"),
        (FRAME, 3, "got int"),
    ],
)
def test_errors(frame, rows, text):
    with pytest.raises(DataError, match=text):
        positions_of(frame, rows)
