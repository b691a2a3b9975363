"""The CF and session models against RecBole 1.2.1, an independent implementation.

The files next to this one hold what RecBole computed; ``benchmarks/recbole_golden.py`` made them
and says how. From the same weights and batches ours must give the same scores and losses, and the
same weights after 20 steps of our own optimiser.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from erase_ray.models import MODELS, Model, Shape
from erase_ray.models._adam import Adam
from erase_ray.models._graph import Graph
from erase_ray.models.sgl import Sgl, View
from erase_ray.tasks._batches import PairBatch, WindowBatch

TABLES = ("user_embedding.weight", "item_embedding.weight")
GRU = ("weight_ih_l0", "weight_hh_l0")
NUM_STEPS, EPOCH = 20, 10
EXACT: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


@dataclass(frozen=True)
class Parity:
    """How a model of ours corresponds to RecBole's.

    Args:
        model: Name of ours.
        settings: Settings that say what the golden file's do.
        names: RecBole's parameters by the name of ours.
        total: RecBole adds up the losses of a batch instead of averaging them.
        idle: Parameters whose true gradient is 0, so that Adam follows rounding errors.
    """

    model: str
    settings: dict[str, Any]
    names: dict[str, str]
    total: bool = False
    idle: tuple[str, ...] = ()


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def prefixed(ours: str, theirs: str, names: dict[str, str]) -> dict[str, str]:
    return {f"{ours}.{own}": f"{theirs}.{name}" for own, name in names.items()}


def layers(names: dict[str, str]) -> dict[str, str]:
    """Weight and bias of each layer."""
    kinds = ("weight", "bias")
    return {f"{own}.{kind}": f"{name}.{kind}" for own, name in names.items() for kind in kinds}


def block(number: int) -> dict[str, str]:
    """A block of SASRec's attention."""
    attention = {"query": "query", "key": "key", "value": "value", "output": "dense"}
    norms = {"output_norm": "LayerNorm"}, {"outer_norm": "LayerNorm"}
    dense = {"inner": "dense_1", "outer": "dense_2"}
    ours, theirs = f"blocks.{number}", f"trm_encoder.layer.{number}"
    return {
        **prefixed(ours, f"{theirs}.multi_head_attention", layers(attention | norms[0])),
        **prefixed(ours, f"{theirs}.feed_forward", layers(dense | norms[1])),
    }


GRAPH: dict[str, Any] = {"embedding_size": 8, "penalty": 0.05}
SESSION: dict[str, Any] = {"embedding_size": 8, "max_length": 6}
PARITY = {
    "bpr": Parity("bpr", {"embedding_size": 8}, same(*TABLES)),
    "lightgcn": Parity("lightgcn", {**GRAPH, "penalty_form": "norm"}, same(*TABLES)),
    "lightgcn_squared": Parity("lightgcn", {**GRAPH, "penalty_form": "squared"}, same(*TABLES)),
    "sgl": Parity("sgl", {**GRAPH, "penalty_form": "norm"}, same(*TABLES), total=True),
    "gru4rec": Parity(
        "gru4rec",
        {**SESSION, "hidden_size": 12, "dropout": 0.0},
        {
            **same("item_embedding.weight", "dense.weight", "dense.bias"),
            **prefixed("gru", "gru_layers", same(*GRU)),
        },
    ),
    "narm": Parity(
        "narm",
        {**SESSION, "hidden_size": 12, "dropout": 0.0, "session_dropout": 0.0},
        {
            **same("item_embedding.weight", "a_1.weight", "a_2.weight", "b.weight"),
            **prefixed("gru", "gru", same(*GRU)),
            "v.weight": "v_t.weight",
        },
    ),
    "sasrec": Parity(
        "sasrec",
        {**SESSION, "inner_size": 32, "dropout": 0.0, "attention_dropout": 0.0},
        {
            **same("item_embedding.weight", "position_embedding.weight"),
            **layers({"norm": "LayerNorm"}),
            **block(0),
            **block(1),
        },
        # adds the same to all logits of a softmax
        idle=("blocks.0.key.bias", "blocks.1.key.bias"),
    ),
    "srgnn": Parity(
        "srgnn",
        SESSION,
        {
            **same("item_embedding.weight"),
            **layers({"gated_step.incoming": "gnn.linear_edge_in"}),
            **layers({"gated_step.outgoing": "gnn.linear_edge_out"}),
            "gated_step.bias_in": "gnn.b_iah",
            "gated_step.bias_out": "gnn.b_ioh",
            "gated_step.input_gates.weight": "gnn.w_ih",
            "gated_step.input_gates.bias": "gnn.b_ih",
            "gated_step.state_gates.weight": "gnn.w_hh",
            "gated_step.state_gates.bias": "gnn.b_hh",
            **layers({"attend_last": "linear_one", "attend_each": "linear_two"}),
            "attend.weight": "linear_three.weight",
            **layers({"dense": "linear_transform"}),
        },
    ),
}


@dataclass(frozen=True)
class Golden:
    """One golden file."""

    tensors: dict[str, Tensor]
    notes: dict[str, str]
    steps: list[Any] = field(default_factory=list)

    @classmethod
    def load(cls, name: str) -> "Golden":
        path = Path(__file__).with_name(f"{name}.safetensors")
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return cls(tensors, file.metadata(), list(_batches(tensors)))

    def weights(self, when: str, parity: Parity) -> dict[str, Tensor]:
        """RecBole's weights under our names."""
        return {ours: self.tensors[f"{when}.{theirs}"] for ours, theirs in parity.names.items()}


def _batches(tensors: dict[str, Tensor]) -> Iterator[PairBatch | WindowBatch]:
    for step in range(NUM_STEPS):
        batch = {k.removeprefix("batch."): v[step] for k, v in tensors.items() if "batch." in k}
        if "user_id" in batch:
            yield PairBatch(batch["user_id"], batch["item_id"], batch["neg_item_id"])
        else:
            longest = int(batch["item_length"].max())
            items_BL = batch["item_id_list"][:, :longest]
            yield WindowBatch(items_BL, batch["item_length"], batch["item_id"])


@pytest.fixture(params=PARITY)
def name(request) -> str:
    return request.param


@pytest.fixture
def parity(name) -> Parity:
    return PARITY[name]


@pytest.fixture
def golden(name) -> Golden:
    return Golden.load(name)


@pytest.fixture
def model(name, parity, golden) -> Model:
    """Ours, with the weights that RecBole began with."""
    kind = MODELS.get(parity.model)
    model = kind(kind.Settings(**parity.settings), Shape(12, 15))
    model.reset(torch.Generator().manual_seed(1))
    model.load_state_dict(golden.weights("before", parity))
    if model.has_edges:
        model.set_edges(golden.tensors["edges.user"], golden.tensors["edges.item"])
    return model


def scores(model: Model, batch: Any) -> Tensor:
    model.eval()
    with torch.no_grad():
        return model.scores(batch)


def batch_loss(model: Model, parity: Parity, batch: Any) -> Tensor:
    loss_B = model.loss(batch)
    return loss_B.sum() if parity.total else loss_B.mean()


def set_views(model: Model, golden: Golden, epoch: int) -> None:
    """Give SGL the views that RecBole drew."""
    if not isinstance(model, Sgl):
        return
    edges_2E = torch.stack([golden.tensors["edges.user"], golden.tensors["edges.item"]])
    kept = [edges_2E[:, kept_K] for kept_K in golden.tensors["views"][epoch]]
    graphs = [Graph.of(user_K, item_K, (12, 15), collapses=False) for user_K, item_K in kept]
    model._views = [View(graph, seed=0, limit=torch.tensor(0)) for graph in graphs]


def train(model: Model, parity: Parity, golden: Golden) -> list[float]:
    """The loss of each batch before its step; dropout is 0."""
    model.train()
    losses: list[float] = []
    decay = json.loads(golden.notes["settings"]).get("weight_decay", 0.0)
    with closing(Adam(model, 1e-3, decay)) as optimizer:
        for step, batch in enumerate(golden.steps):
            set_views(model, golden, step // EPOCH)
            loss = batch_loss(model, parity, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_every_golden_file_is_compared():
    files = {path.stem for path in Path(__file__).parent.glob("*.safetensors")}
    assert files == set(PARITY)


def test_says_where_it_comes_from(golden):
    assert golden.notes["origin"].startswith("PyPI recbole 1.2.1, class ")
    assert golden.notes["how"].startswith("benchmarks/recbole_golden.py ")


def test_all_weights_are_compared(model, parity, golden):
    theirs = sorted(parity.names.values())
    assert theirs == sorted(k[7:] for k in golden.tensors if k.startswith("before."))
    assert set(parity.names) == set(dict(model.named_parameters()))


def test_scores(model, golden):
    found_BI = scores(model, golden.steps[0])
    torch.testing.assert_close(found_BI, golden.tensors["scores"], **EXACT)


def test_loss_of_the_first_batch(model, parity, golden):
    model.train()
    set_views(model, golden, 0)
    found = batch_loss(model, parity, golden.steps[0]).item()
    assert found == pytest.approx(golden.tensors["losses"][0].item(), rel=1e-5)


def test_twenty_steps(model, parity, golden):
    losses = train(model, parity, golden)
    assert losses == pytest.approx(golden.tensors["losses"].tolist(), rel=1e-4)
    found = dict(model.named_parameters())
    for name, expected in golden.weights("after", parity).items():
        if name not in parity.idle:
            torch.testing.assert_close(found[name].detach(), expected, **CLOSE, msg=name)
    found_BI = scores(model, golden.steps[0])
    torch.testing.assert_close(found_BI, golden.tensors["scores_after"], **CLOSE)


def test_a_small_error_in_any_weight_is_found(model, parity, golden):
    """The comparisons above can fail: each parameter has a say in the scores or the loss."""
    for name, weight in model.named_parameters():
        before = weight.detach().clone()
        with torch.no_grad():
            weight += 1e-2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
        gap = (scores(model, golden.steps[0]) - golden.tensors["scores"]).abs().max()
        assert (gap > 1e-4) == (name not in parity.idle), name
        with torch.no_grad():
            weight.copy_(before)


def test_steps_move_the_weights_by_more_than_the_tolerance(parity, golden):
    before, after = (golden.weights(when, parity) for when in ("before", "after"))
    moved = [name for name in before if (after[name] - before[name]).abs().max() > 1e-3]
    assert set(before) - set(moved) <= set(parity.idle)
