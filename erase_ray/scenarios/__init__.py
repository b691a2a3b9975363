"""Scenarios: who asks for what, one file each."""

from erase_ray.scenarios._base import SCENARIOS, Chain, RequestSpec, Scenario

__all__ = ["SCENARIOS", "Chain", "RequestSpec", "Scenario"]
