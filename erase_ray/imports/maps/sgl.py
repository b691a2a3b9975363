"""SGL: two tables; the propagated ones of ``other_parameter`` are a cache and left out."""

from erase_ray.imports._mapping import ITEMS, USERS, WIDTH, ModelMap, Must, Told, fixed

MAP = ModelMap(
    model="sgl",
    theirs="SGL",
    tensors=fixed(USERS, ITEMS),
    user_table="user_embedding.weight",
    sizes=(WIDTH,),
    told=(
        Told("num_layers", "n_layers", scores=True),
        Told("penalty", "reg_weight"),
        Told("edge_dropout", "drop_ratio"),
        Told("contrast", "ssl_weight"),
        Told("temperature", "ssl_tau"),
    ),
    musts=(Must("type", "ED"),),
    always=(("penalty_form", "norm"),),
)
