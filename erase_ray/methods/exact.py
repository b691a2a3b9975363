"""Take the rows out of what was counted or solved for."""

from typing import ClassVar

import numpy as np
from torch import nn

from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.data.split import Part
from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._request import Request
from erase_ray.models import Model
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.tasks._arrays import find, on_device


@METHODS.register
class Exact(Method):
    """Make the model what a fit without the rows would have made, at a fraction of the cost.

    Only for models that are fitted in one pass. What they are afterwards equals a fit bit by bit;
    `ease` does up to the rounding of float64, which is watched (see its ``max_error``).

    Paper: Schelter, "Amnesia: A Selection of Machine Learning Models That Can Forget User Data
    Very Fast", CIDR 2020; Schelter, Ariannezhad, de Rijke, "Forget Me Now: Fast and Exact
    Unlearning in Neighborhood-based Recommendation", SIGIR 2023.
    Differs from them: `itemknn` keeps no matrix of joint counts, but counts again where the rows
    touch it; `ease` takes the rows of one request out together. What is left of a person who keeps
    some rows is read from the data.
    Cost of a request: one pass over the rows of the people who ask, and what ``remove`` of the
    model says.
    """

    version: ClassVar[int] = 1
    serves_baselines: ClassVar[bool] = True
    serves_learning: ClassVar[bool] = False
    # nothing is changed before it is sure that the request is served, so nothing is to be undone
    keeps_track: ClassVar[bool] = True

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """No parameter: what these models learn lives in buffers."""
        return {}

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the training rows of the request out of ``model``."""
        if not isinstance(model, Baseline):
            return Outcome("skipped", f"model '{model.name}' learns by gradients: no row leaves it")
        rows, left = training_rows(request)
        if not len(rows):
            return Outcome("empty", "no training row is to be forgotten")
        if request.deadline.passed():
            return Outcome("timed_out", f"{request.deadline.limit_s:g} s were over at the start")
        figures = model.remove(rows, left)
        return Outcome("applied", details={"num_training_rows": float(len(rows))} | figures)


def training_rows(request: Request) -> tuple[TrainingRows, TrainingRows]:
    """The training rows that the request removes, and those that the same people keep."""
    own = request.world.interactions.of_users(request.spec.users)
    is_left = request.world.split.select(own, Part.TRAIN) & ~_named(own, request.forgotten)
    is_asked = _named(own, request.spec.rows)
    return _rows(request, own, is_left & is_asked), _rows(request, own, is_left & ~is_asked)


def _named(own: Interactions, rows: np.ndarray) -> np.ndarray:
    """True for the rows of ``own`` that are among the given row ids."""
    is_named = np.zeros(len(own), bool)
    is_named[find(rows, own.row)[1]] = True
    return is_named


def _rows(request: Request, own: Interactions, is_meant: np.ndarray) -> TrainingRows:
    columns = (getattr(own, name)[is_meant] for name in COLUMNS)
    return TrainingRows(*(on_device(column, request.device) for column in columns))
