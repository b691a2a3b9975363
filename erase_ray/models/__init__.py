"""Recommendation models, one file each."""

from erase_ray.models._base import MODELS, Model, Shape, TrainingSettings

__all__ = ["MODELS", "Model", "Shape", "TrainingSettings"]
