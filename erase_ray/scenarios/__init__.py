"""Scenarios: who asks for what, one file each."""

from erase_ray.scenarios._base import SCENARIOS, Chain, ChainSettings, RequestSpec, Scenario
from erase_ray.scenarios._order import served, wishes_by
from erase_ray.scenarios._view import ChainView

__all__ = [
    "SCENARIOS",
    "Chain",
    "ChainSettings",
    "ChainView",
    "RequestSpec",
    "Scenario",
    "served",
    "wishes_by",
]
