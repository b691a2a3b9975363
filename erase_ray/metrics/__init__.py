"""Metrics, one file each, computed from stored answers."""

from erase_ray.metrics._answers import Answers, Exposure
from erase_ray.metrics._base import METRICS, Aggregate, Metric
from erase_ray.metrics._exposure import exposures
from erase_ray.metrics._groups import Population
from erase_ray.metrics._tally import Measured, Tally

__all__ = [
    "METRICS",
    "Aggregate",
    "Answers",
    "Exposure",
    "Measured",
    "Metric",
    "Population",
    "Tally",
    "exposures",
]
