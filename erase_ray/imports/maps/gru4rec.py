"""GRU4Rec: an item table, a GRU of one layer without biases, a dense layer."""

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
    layer,
)

MAP = ModelMap(
    model="gru4rec",
    theirs="GRU4Rec",
    tensors=fixed(
        ITEMS,
        Take("gru.weight_ih_l0", "gru_layers.weight_ih_l0"),
        Take("gru.weight_hh_l0", "gru_layers.weight_hh_l0"),
        *layer("dense", "dense"),
    ),
    sizes=(WIDTH, Size("hidden_size", "gru_layers.weight_hh_l0", 1)),
    told=(Told("dropout", "dropout_prob"), WINDOW),
    musts=(Must("num_layers", 1),),
)
