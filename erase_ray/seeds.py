"""Randomness by counter: every draw is a function of a seed and of what it is drawn for.

No draw depends on how many were made before it, so order, batch size, workers and restarts cannot
change a number. The integer hash is SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014); it gives the same integers on every device.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_GAMMA = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_MIX_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def derive(root: int, *names: str | int) -> int:
    """A seed of 63 bits for the purpose that ``names`` spell out."""
    text = "\x1f".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(root: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the purpose that ``names`` spell out."""
    return np.random.default_rng(derive(root, *names))


def torch_generator(
    root: int, *names: str | int, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A torch generator on ``device`` for the purpose that ``names`` spell out."""
    return torch.Generator(device=device).manual_seed(derive(root, *names))


@contextmanager
def torch_scope(seed: int, device: torch.device) -> Iterator[None]:
    """Seed what draws from torch's global generator (dropout) inside the block, then undo it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def hash_ids(seed: int, ids: Tensor) -> Tensor:
    """A random 64-bit integer (signed) for each id; int64 in, int64 out, any shape, any device."""
    z = ids * _GAMMA + seed
    z = (z ^ _shift(z, 30)) * _MIX_1
    z = (z ^ _shift(z, 27)) * _MIX_2
    return z ^ _shift(z, 31)


def below(bound: int, seed: int, ids: Tensor) -> Tensor:
    """A uniform integer in ``[0, bound)`` for each id; ``bound`` must be under 2**31."""
    return (_shift(hash_ids(seed, ids), 33) * bound) >> 31


def order(seed: int, ids: Tensor) -> Tensor:
    """The positions of ``ids`` in a random order that deleting an id does not disturb.

    The ids that stay keep their order among themselves, so a model retrained with the same seed
    meets its examples in the order in which the base model met them.
    """
    return torch.argsort(hash_ids(seed, ids), stable=True)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own shift keeps the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
