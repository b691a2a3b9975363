"""Training and evaluation mode of a model."""

from collections.abc import Iterator
from contextlib import contextmanager

from erase_ray.models import Model


@contextmanager
def in_mode(model: Model, training: bool) -> Iterator[None]:
    """Put the whole model in training or evaluation mode inside the block, then undo it."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, before in modes.items():
            module.training = before
