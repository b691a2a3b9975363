"""Scenarios: who asks for what, one file each."""

from erase_ray.scenarios._base import SCENARIOS, Chain, ChainSettings, RequestSpec, Scenario

__all__ = ["SCENARIOS", "Chain", "ChainSettings", "RequestSpec", "Scenario"]
