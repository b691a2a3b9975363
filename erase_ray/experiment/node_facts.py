"""What a run tells of its nodes besides plan and label, for readers that have the store alone."""

import json
from typing import Any

from erase_ray.datasets import DATASETS
from erase_ray.experiment.cell import Cell, Part, title
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.results import BASE, ORIGINAL
from erase_ray.models import MODELS
from erase_ray.registry import part_title

Facts = dict[str, Any]


def plan_json(plan: Plan) -> str:
    """The graph as :meth:`Plan.to_json` writes it, with what :func:`about` tells of each node."""
    lines = [
        json.dumps(known | about(plan.nodes[known["key"]]))
        for known in json.loads(plan.to_json())["nodes"]
    ]
    return '{"nodes": [\n' + ",\n".join(lines) + "\n]}\n"


def about(node: Node) -> Facts:
    """``task`` and ``dataset`` of a node, and ``model``, ``scenario`` and ``seed`` of a cell.

    Empty for payloads that are neither data nor a cell.
    """
    kind, payload = node.payload.get("kind"), node.payload
    if kind == "data":
        part = Part(**payload["dataset"])
        return {"task": part.build(DATASETS).task, "dataset": title(part)}
    if kind != "cell":
        return {}
    cell = payload["cell"]
    return {
        "task": MODELS.get(cell["model"]["name"]).task,
        "dataset": node.label.split("/")[0],
        "model": cell["model"]["name"],
        "scenario": part_title(**cell["scenario"]) if cell["scenario"] else "",
        "seed": cell["seed"],
    }


def expected(node: Node) -> Facts:
    """What a cell will go through while it runs, as far as it is known before.

    ``epochs`` is the most that one of its trainings may take. ``chain`` says where the manifest of
    the requests is that it serves one by one, all of them: name and key of the dataset, and key of
    the chain.
    """
    if node.payload.get("kind") != "cell":
        return {}
    cell = Cell(**node.payload["cell"])
    found: Facts = {"epochs": cell.training.epochs}
    serves = cell.mark is None and cell.method.name not in (BASE, ORIGINAL)
    if cell.scenario and serves and not (cell.audit or cell.shadow):
        found["chain"] = [cell.dataset.name, cell.data_key, cell.chain_key]
    return found
