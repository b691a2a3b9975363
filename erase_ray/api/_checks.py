"""Does a model fit its data, and does it answer as models do?"""

import torch
from torch import Tensor

from erase_ray.api._table import OwnTable
from erase_ray.errors import DataError, SettingsError, TrainingError
from erase_ray.models import Model
from erase_ray.tasks import Examples


def check_task(model: Model, task: str | None) -> str:
    """The task of the model.

    Raises:
        SettingsError: Another one is asked for.
    """
    if task not in (None, model.task):
        raise SettingsError(
            f"model '{model.name}' is for task '{model.task}', the frame is to be read for "
            f"'{task}'; leave task out, or take a model for it"
        )
    return model.task


def check_shape(model: Model, table: OwnTable) -> None:
    """Do the tables of the model hold all users and items?

    Raises:
        DataError: They are smaller than the numbers in the frame.
    """
    sizes = {"item": (table.interactions.num_items, model.shape.num_items)}
    if knows_users(model):
        sizes["user"] = (table.interactions.num_users, model.shape.num_users)
    for what, (needed, there) in sizes.items():
        if needed > there:
            raise DataError(
                f"the frame has {needed} {what}s, model '{model.name}' has tables for {there}; "
                "give the frame that it was trained on"
            )


def knows_users(model: Model) -> bool:
    """True where it matters which row of its tables a user is."""
    return model.task == "cf" or not model.learns or bool(model.user_tables())


def check_answers(model: Model, examples: Examples) -> None:
    """Ask the model about two examples.

    Raises:
        SettingsError: Losses or scores have the wrong shape.
        TrainingError: They are not numbers.
    """
    if not len(examples):
        raise DataError(f"model '{model.name}' has no training example in this frame")
    index = torch.arange(min(2, len(examples)), device=examples.rows.device)
    with torch.no_grad(), model.scoring():
        scores_BI = model.scores(examples.inputs(index))
        _check(model, "scores", scores_BI, (len(index), model.shape.num_items))
        if model.learns:
            _check(model, "loss", model.loss(examples.batch(index, 0)), (len(index),))


def _check(model: Model, what: str, found: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(found.shape) != shape:
        raise SettingsError(
            f"{what} of model '{model.name}' has the shape {list(found.shape)} for a batch of "
            f"{shape[0]}, expected {list(shape)}"
        )
    if torch.isnan(found).any():
        raise TrainingError(f"{what} of model '{model.name}' is not a number (NaN)")
