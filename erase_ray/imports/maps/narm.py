"""NARM: an item table, a GRU of one layer without biases, four matrices."""

from erase_ray.imports._mapping import (
    ITEMS,
    WIDTH,
    WINDOW,
    ModelMap,
    Must,
    Size,
    Take,
    Told,
    fixed,
    same,
)

MAP = ModelMap(
    model="narm",
    theirs="NARM",
    tensors=fixed(
        ITEMS,
        *same("gru.weight_ih_l0", "gru.weight_hh_l0", "a_1.weight", "a_2.weight", "b.weight"),
        Take("v.weight", "v_t.weight"),
    ),
    sizes=(WIDTH, Size("hidden_size", "gru.weight_hh_l0", 1)),
    told=(
        Told("dropout", "dropout_probs", change=lambda shares: shares[0]),
        Told("session_dropout", "dropout_probs", change=lambda shares: shares[1]),
        WINDOW,
    ),
    musts=(Must("n_layers", 1),),
)
