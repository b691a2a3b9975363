"""Metrics, one file each, computed from stored answers."""

from erase_ray.metrics._base import METRICS, Answers, Metric

__all__ = ["METRICS", "Answers", "Metric"]
