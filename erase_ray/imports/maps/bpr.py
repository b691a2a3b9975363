"""BPR: two tables."""

from erase_ray.imports._mapping import ITEMS, USERS, WIDTH, ModelMap, fixed

MAP = ModelMap(
    model="bpr",
    theirs="BPR",
    tensors=fixed(USERS, ITEMS),
    user_table="user_embedding.weight",
    sizes=(WIDTH,),
)
