"""Which shadow models an attacker compares a model with."""

import numpy as np


def draw(allowed_KN: np.ndarray, count: int, draws: np.random.Generator) -> np.ndarray:
    """``count`` of the models that are allowed for each example, at random.

    Every request is out of exactly half of the models, so of the others one more is out if it is in
    the model that is looked at: whoever takes all of them is told the answer by their number, and
    a mean over four has other noise than one over three. With one number for all, drawn at random,
    the models that are compared say nothing about who is in.

    Args:
        allowed_KN: bool, shape ``(K, N)``.
        count: At most as many as are allowed for any example.
        draws: Where the randomness comes from.

    Returns:
        Numbers of models, int64, shape ``(count, N)``.
    """
    assert (allowed_KN.sum(axis=0) >= count).all()
    order_KN = np.where(allowed_KN, draws.random(allowed_KN.shape), 2.0)
    return np.argsort(order_KN, axis=0)[:count]


def others(shape: tuple[int, ...], target: int) -> np.ndarray:
    """True for all models but one; bool of the given shape, ``(K, N)``."""
    other_K = np.arange(shape[0]) != target
    return np.broadcast_to(other_K[:, None], shape)


def balanced(num_models: int) -> int:
    """How many others there are of either kind at least, whichever kind the target is."""
    return num_models // 2 - 1
