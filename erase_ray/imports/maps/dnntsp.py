"""DNNTSP of the ERASE fork, whose names of tensors are not published: found by shapes."""

from collections.abc import Mapping

from erase_ray.imports._mapping import Found, ModelMap, Shapes, Take, Told, layer
from erase_ray.imports._modules import Modules, weight_of
from erase_ray.imports.errors import ForeignFileError

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def search(shapes: Shapes, given: Mapping[str, str]) -> Found:
    """All tensors, from the gate with one number an item on."""
    modules = Modules.of("dnntsp", shapes, given)
    gate = given.get("gate") or _gate(shapes)
    items = shapes[gate][0] if gate in shapes else 0
    widths = [s[1] for s in shapes.values() if len(s) == 2 and s[0] == items and s[1] > 1]
    if len(set(widths)) != 1:
        raise ForeignFileError(f"dnntsp: no table has one row for each of the {items} of '{gate}'")
    width = widths[0]
    table = modules.one("item_embedding", "the table of items", weight_of(items, width))
    graph = modules.all(weight_of(width, width, bias=True))
    norms = modules.all(lambda leaves: "running_mean" in leaves)
    if not graph or len(graph) != len(norms):
        raise ForeignFileError(
            f"dnntsp: {len(graph)} layers of {width} x {width} with a bias and {len(norms)} batch "
            "norms; expected as many of one as of the other"
        )

    def plain(ours: str, rows: int, *words: str) -> Take:
        what = f"a layer of {rows} x {width} without a bias"
        name = modules.one(ours, what, weight_of(rows, width, bias=False), *words)
        return Take(f"{ours}.weight", f"{name}.weight")

    takes = [
        Take("item_embedding.weight", f"{table}.weight", "items"),
        *(take for n, name in enumerate(graph) for take in layer(f"convolutions.{n}", name)),
        *(
            Take(f"norms.{number}.{leaf}", f"{name}.{leaf}")
            for number, name in enumerate(norms)
            for leaf in NORM
        ),
        plain("query", width, "wq", "query", "q_"),
        plain("key", width, "wk", "key", "k_"),
        plain("value", width, "wv", "value", "v_"),
        plain("importance", 1, "aggregate", "wq", "importance"),
        *layer("output", modules.one("output", "the output", weight_of(1, width, bias=True))),
        Take("gate", gate, "item column" if len(shapes[gate]) == 2 else "items"),
    ]
    return Found(tuple(takes), {"embedding_size": width, "num_layers": len(graph)})


def _gate(shapes: Shapes) -> str:
    found = [
        name
        for name, shape in shapes.items()
        if shape and shape[0] > 1 and (shape[1:] == (1,) or ("alpha" in name and len(shape) == 1))
    ]
    if len(found) != 1:
        seen = ", ".join(found) or "none"
        raise ForeignFileError(
            f"dnntsp: which is gate (one number an item)? Of that shape: {seen}. Say which with "
            "--name gate=THEIRS"
        )
    return found[0]


MAP = ModelMap(
    model="dnntsp",
    theirs="DNNTSP",
    item_table="",
    search=search,
    told=(Told("num_heads", "n_heads", scores=True),),
)
