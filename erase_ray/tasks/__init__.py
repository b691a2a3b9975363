"""Tasks: what an example is, which queries are asked, what is masked in ranking."""

from erase_ray.tasks._base import TASKS, Cut, Examples, Queries, Task

__all__ = ["TASKS", "Cut", "Examples", "Queries", "Task"]
