"""Unlearning methods, one file each."""

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._request import Deadline, Request

__all__ = ["METHODS", "Deadline", "Method", "Outcome", "Request"]
