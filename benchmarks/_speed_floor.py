"""What a training step has to compute and move, and how fast this machine could do that.

Counted are multiplications and additions of matrix products (forward once, backward twice) and
bytes that are read and written at least once. Left out are exponentials, dropout, random numbers
and indices. Where all tables fit into a cache, bytes cost less than the copies they are held to.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from _speed_ours import Ours, synchronize

from erase_ray.data.split import Part

NUMBER = 4
"""Bytes of a float32."""
ADAM = 8 * NUMBER
"""Of a weight: it, its two moments read and written, its gradient written and read."""
DIRECTIONS = 3
"""A product and its two gradients."""
PATIENCE_S = 0.5
CACHE = 2**25
"""Bytes above which a table of vectors is read anew for each edge of a graph."""


@dataclass(frozen=True)
class Work:
    """A part of a step.

    Args:
        what: In words.
        flop: Multiplications and additions.
        moved: Bytes read and written.
    """

    what: str
    flop: float = 0.0
    moved: float = 0.0


def of(ours: Ours, epoch_s: float, clock: str) -> dict[str, Any]:
    """The work of a step of the model, the machine's rates, and the share of them it reaches.

    Args:
        ours: The model with its data.
        epoch_s: Seconds of an epoch, on that clock.
        clock: ``wall`` or ``cpu``; by the latter rates are those of one processor.
    """
    steps = -(-len(ours.examples) // ours.settings.batch_size)
    size = len(ours.examples) / steps
    num_weights = sum(weight.numel() for weight in ours.model.parameters())
    parts = [*_PARTS[ours.model.name](ours, size), Work("Adam", moved=ADAM * num_weights)]
    flop_rate, byte_rate = rates(ours.device, clock)
    # a part is bound by what takes it longer
    times = {p.what: max(p.flop / flop_rate, p.moved / byte_rate) for p in parts}
    step_s = epoch_s / steps
    return {
        "step_ms": 1e3 * step_s,
        "floor_ms": 1e3 * sum(times.values()),
        "flop_share": sum(p.flop for p in parts) / step_s / flop_rate,
        "byte_share": sum(p.moved for p in parts) / step_s / byte_rate,
        "parts": {p.what: [p.flop, p.moved, 1e3 * times[p.what]] for p in parts},
        "flop_rate": flop_rate,
        "byte_rate": byte_rate,
    }


@functools.cache
def rates(device: torch.device, clock: str) -> tuple[float, float]:
    """Float operations a second of a square product, bytes a second of a copy."""
    side = 1024 if device.type == "cpu" else 8192
    left, right, out = (torch.rand(side, side, device=device) for _ in range(3))
    source, target = (torch.zeros(2**26, device=device) for _ in range(2))
    product_s = _fastest(lambda: torch.mm(left, right, out=out), device, clock)
    copy_s = _fastest(lambda: target.copy_(source), device, clock)
    return 2 * side**3 / product_s, 2 * NUMBER * source.numel() / copy_s


def report(found: list[dict[str, Any]]) -> None:
    """Print the table of what :func:`of` found for each model."""
    if found:
        flop_rate, byte_rate = (found[0]["floor"][rate] for rate in ("flop_rate", "byte_rate"))
        print(f"\nmachine: {flop_rate / 1e9:.0f} GFLOP/s, copies at {byte_rate / 1e9:.1f} GB/s")
    for one in found:
        floor = one["floor"]
        share = floor["floor_ms"] / floor["step_ms"]
        print(
            f"{one['model']}: step {floor['step_ms']:.2f} ms, floor {floor['floor_ms']:.2f} ms "
            f"({share:.0%}); {floor['flop_share']:.0%} of the rate of products, "
            f"{floor['byte_share']:.0%} of that of copies"
        )
        for what, (flop, moved, floor_ms) in floor["parts"].items():
            print(
                f"    {what:<34}{flop / 1e6:>10.1f} MFLOP{moved / 1e6:>9.1f} MB{floor_ms:>9.3f} ms"
            )


def _fastest(call: Callable[[], object], device: torch.device, clock: str) -> float:
    now = time.process_time if clock == "cpu" else time.perf_counter
    best, end = float("inf"), time.perf_counter() + PATIENCE_S
    while time.perf_counter() < end:
        synchronize(device)
        start = now()
        call()
        synchronize(device)
        best = min(best, now() - start)
    return best


def _dense(what: str, rows: float, weights: float) -> Work:
    """Rows through matrices that hold so many weights, and back."""
    return Work(what, flop=DIRECTIONS * 2 * rows * weights)


def _rows(ours: Ours, size: float) -> Work:
    """Three vectors of each example and their gradients."""
    width = ours.model.settings.embedding_size
    return Work("rows of the batch", moved=3 * 3 * NUMBER * size * width)


def _graph(ours: Ours, size: float, graphs: float) -> list[Work]:
    own, data = ours.model.settings, ours.data
    edges = int(data.split.select(data.table, Part.TRAIN).sum())
    products = 2 * own.num_layers * graphs
    nodes = ours.model.shape.num_users + ours.model.shape.num_items
    table, vectors = NUMBER * nodes * own.embedding_size, 2 * NUMBER * edges * own.embedding_size
    # columns and weights, the vectors of the neighbours, their sums
    moved = 2 * edges * 2 * NUMBER + (vectors if table > CACHE else table) + table
    flop = 2 * 2 * edges * own.embedding_size
    return [
        _rows(ours, size),
        Work(f"{products:g} sparse products", flop=products * flop, moved=products * moved),
    ]


def _sgl(ours: Ours, size: float) -> list[Work]:
    own, shape = ours.model.settings, ours.model.shape
    # a node that comes several times in a batch is compared once
    pairs = sum(min(size, nodes) * nodes for nodes in (shape.num_users, shape.num_items))
    contrast = _dense("contrast with all nodes", pairs, own.embedding_size)
    return [*_graph(ours, size, 1 + 2 * (1 - own.edge_dropout)), contrast]


def _vocabulary(ours: Ours, size: float, width: int) -> Work:
    return _dense("scores of all items", size, ours.model.shape.num_items * width)


def _steps(ours: Ours, size: float) -> float:
    """Items in the windows of a batch."""
    return float(ours.examples.lengths.double().mean()) * size


def _gru4rec(ours: Ours, size: float) -> list[Work]:
    own = ours.model.settings
    inputs, hidden = own.embedding_size, own.hidden_size
    return [
        _vocabulary(ours, size, inputs),
        _dense("recurrence", _steps(ours, size), 3 * hidden * (inputs + hidden)),
        _dense("dense layer", size, hidden * inputs),
    ]


def _narm(ours: Ours, size: float) -> list[Work]:
    own = ours.model.settings
    inputs, hidden, steps = own.embedding_size, own.hidden_size, _steps(ours, size)
    return [
        _vocabulary(ours, size, inputs),
        _dense("recurrence", steps, 3 * hidden * (inputs + hidden)),
        _dense("attention", steps, hidden * hidden + 2 * hidden),
        _dense("dense layers", size, hidden * hidden + 2 * hidden * inputs),
    ]


def _sasrec(ours: Ours, size: float) -> list[Work]:
    own, steps = ours.model.settings, _steps(ours, size)
    width = own.embedding_size
    squares = float(ours.examples.lengths.double().square().mean()) * size
    # of the last layer only the last position is read, but it reads all keys and values
    earlier, linear = own.num_layers - 1, 4 * width**2 + 2 * width * own.inner_size
    weights = earlier * linear + 2 * width**2
    return [
        _vocabulary(ours, size, width),
        _dense("linear layers", steps, weights),
        _dense("linear layers, last position", size, linear - 2 * width**2),
        # scores and sums, causal: half of the square
        _dense("attention", squares, earlier * width),
        _dense("attention, last position", steps, 2 * width),
    ]


def _srgnn(ours: Ours, size: float) -> list[Work]:
    own, nodes = ours.model.settings, _nodes(ours) * size
    width = own.embedding_size
    # gates of both kinds of messages and of the state; at first they depend on the item alone
    first = min(nodes, ours.model.shape.num_items)
    rows = first + nodes * (own.num_steps - 1)
    return [
        _vocabulary(ours, size, width),
        _dense("gates of the graph step", rows, 9 * width**2),
        _dense("read-out", nodes, width**2 + width),
        _dense("dense layers", size, 3 * width**2),
    ]


def _nodes(ours: Ours) -> float:
    """Distinct items of a window, on average over some."""
    some = torch.arange(min(len(ours.examples), 1024), device=ours.examples.rows.device)
    items_BL = ours.examples.inputs(some).items_BL.sort(1).values
    # what is behind a window is item 0, which may be in it as well
    return float((items_BL[:, 1:] != items_BL[:, :-1]).sum(1).double().mean())


_PARTS: dict[str, Callable[[Ours, float], list[Work]]] = {
    "bpr": lambda ours, size: [_rows(ours, size)],
    "lightgcn": lambda ours, size: _graph(ours, size, 1),
    "sgl": _sgl,
    "gru4rec": _gru4rec,
    "narm": _narm,
    "sasrec": _sasrec,
    "srgnn": _srgnn,
}
