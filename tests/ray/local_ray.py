"""A small Ray of its own for the tests of a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray


@contextmanager
def local_ray(cpus: int, **environment: str) -> Iterator[None]:
    """Ray with so many CPUs in name, whose workers find the project and the helpers here."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in (Path(__file__).parents[2], Path(__file__).parent):
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        for name, value in environment.items():
            patch.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=100_000_000,
            include_dashboard=False,
            log_to_driver=False,
        )
        try:
            yield
        finally:
            ray.shutdown()
