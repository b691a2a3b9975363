"""LightGCN: two tables; the propagated ones of ``other_parameter`` are a cache and left out."""

from erase_ray.imports._mapping import ITEMS, USERS, WIDTH, ModelMap, Told, fixed

MAP = ModelMap(
    model="lightgcn",
    theirs="LightGCN",
    tensors=fixed(USERS, ITEMS),
    user_table="user_embedding.weight",
    sizes=(WIDTH,),
    told=(
        Told("num_layers", "n_layers", scores=True),
        Told("penalty", "reg_weight"),
        Told("penalty_form", "require_pow", change=lambda is_on: "squared" if is_on else "norm"),
    ),
)
