"""A worker that is lost in the middle of a chain, once."""

import math
import os
from pathlib import Path

import erase_ray.experiment.run as run_module
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import Pace

LOST_AT = 6
ALWAYS = Pace(every_s=0.0, mark_s=0.0, share=math.inf)


def run(payload, storage):
    """Run a node; die before a request, if nobody did so yet, and note what was served."""
    serve, pace = ChainRunner._serve_one, run_module.Pace
    ChainRunner._serve_one = watched(serve, Path(storage))
    run_module.Pace = lambda: ALWAYS
    try:
        return run_module.run_node(payload, storage)
    finally:
        ChainRunner._serve_one, run_module.Pace = serve, pace


def watched(serve, folder):
    def serve_one(runner, spec, *rest):
        lost = folder / "lost"
        if spec.id == LOST_AT and not lost.exists():
            lost.touch()
            os._exit(1)
        with (folder / "served").open("a") as file:
            file.write(f"{spec.id} {os.getpid()}\n")
        return serve(runner, spec, *rest)

    return serve_one


def served(storage):
    """Number and process of each request, in order."""
    lines = (Path(storage) / "served").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]
