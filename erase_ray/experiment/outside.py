"""Which installed packages the parts of a cell are from."""

from typing import Any

from erase_ray.audits import AUDITS
from erase_ray.datasets import DATASETS
from erase_ray.experiment.results import BASE
from erase_ray.methods import METHODS
from erase_ray.metrics import METRICS
from erase_ray.models import MODELS
from erase_ray.registry import Registry
from erase_ray.scenarios import SCENARIOS

REGISTRIES: tuple[Registry[Any], ...] = (DATASETS, MODELS, SCENARIOS, METHODS, AUDITS)
"""Kinds of parts that a cell names."""


def outside_versions(settings: dict[str, Any]) -> dict[str, str]:
    """Version by name of the packages that are not ours.

    Args:
        settings: Of a cell, or ``{"dataset": {"name": ...}}``. Cells that measure use every
            installed metric.
    """
    used = [
        registry.outside().get((settings.get(registry.kind) or {}).get("name", ""))
        for registry in REGISTRIES
    ]
    if (settings.get("method") or {}).get("name", BASE) != BASE:
        used += METRICS.outside().values()
    return {origin.distribution: origin.version for origin in used if origin}
