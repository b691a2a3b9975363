"""SRGNN: an item table, a gated step over the graph of a session, attention, a dense layer."""

from erase_ray.imports._mapping import (
    ITEMS,
    WIDTH,
    WINDOW,
    ModelMap,
    Take,
    Told,
    fixed,
    layer,
)

GATES = {
    "bias_in": "b_iah",
    "bias_out": "b_ioh",
    "input_gates.weight": "w_ih",
    "input_gates.bias": "b_ih",
    "state_gates.weight": "w_hh",
    "state_gates.bias": "b_hh",
}

MAP = ModelMap(
    model="srgnn",
    theirs="SRGNN",
    tensors=fixed(
        ITEMS,
        *layer("gated_step.incoming", "gnn.linear_edge_in"),
        *layer("gated_step.outgoing", "gnn.linear_edge_out"),
        *(Take(f"gated_step.{ours}", f"gnn.{theirs}") for ours, theirs in GATES.items()),
        *layer("attend_last", "linear_one"),
        *layer("attend_each", "linear_two"),
        Take("attend.weight", "linear_three.weight"),
        *layer("dense", "linear_transform"),
    ),
    sizes=(WIDTH,),
    told=(Told("num_steps", "step", scores=True), WINDOW),
)
