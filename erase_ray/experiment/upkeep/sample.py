"""Which cells to look at more closely: a sample in which all methods occur before any repeats."""

import math
import random
import re
from collections.abc import Mapping

from erase_ray.errors import SettingsError

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def sample_size(text: str, population: int) -> int:
    """How many of ``population`` cells ``5%`` or ``3`` means; a share is rounded up.

    Raises:
        SettingsError: It is neither, or not above 0, or a share above 100 %.
    """
    share = _SHARE.fullmatch(text.strip())
    if share and 0 < float(share[1]) <= 100:
        return math.ceil(float(share[1]) / 100 * population)
    if text.strip().isdecimal() and int(text) > 0:
        return min(int(text), population)
    raise SettingsError(
        f"--rerun takes a number of cells such as 3, or a share up to 100% such as 5%, got '{text}'"
    )


def stratified(strata: Mapping[str, str], size: int, seed: int) -> list[str]:
    """A random sample of keys in which the strata take turns, so that most of them occur.

    Args:
        strata: Stratum of each key, such as the method of a cell.
        size: How many keys.
        seed: Draws them.
    """
    draw = random.Random(seed)
    groups: dict[str, list[str]] = {}
    for key in sorted(strata):
        groups.setdefault(strata[key], []).append(key)
    order = [groups[name] for name in sorted(groups)]
    for group in order:
        draw.shuffle(group)
    draw.shuffle(order)
    longest = max(map(len, order), default=0)
    turns = (group[turn] for turn in range(longest) for group in order if turn < len(group))
    return [key for key, _ in zip(turns, range(size), strict=False)]
