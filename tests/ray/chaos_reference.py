"""The unbroken run that broken ones are compared with: the serial twin, once a process."""

import atexit
import functools
import shutil
import tempfile

from chaos_arena import GRID

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import run_serial


@functools.cache
def reference(only=""):
    """A store with all cells of the grid, or of a part of it."""
    folder = tempfile.mkdtemp(prefix="chaos-reference-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = Store(folder)
    walk = run_serial(build(load_cells(GRID, only, [])), folder, run_node)
    assert walk.failures == {}
    return store


def planned(only=""):
    """Keys of the cells of the grid, or of a part of it, with those that they need."""
    nodes = build(load_cells(GRID, only, [])).nodes.values()
    return {node.key for node in nodes if node.payload["kind"] == "cell"}
