"""Sets2Sets of the ERASE fork, whose names of tensors are not published: found by shapes.

Tables of items and recurrent layers come twice with the same shapes; ``enc`` and ``dec`` in their
names tell them apart.
"""

from collections.abc import Mapping

from erase_ray.imports._mapping import Found, ModelMap, Shapes, Take
from erase_ray.imports._modules import Modules, weight_of
from erase_ray.imports.errors import ForeignFileError

FRAME = 2
"""Rows of their attention for the empty baskets at both ends, which ours has none of."""
RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def search(shapes: Shapes, given: Mapping[str, str]) -> Found:
    """All tensors, from the square table over all items on."""
    modules = Modules.of("sets2sets", shapes, given)
    squares = [leaves["weight"][0] for leaves in modules.parts.values() if _is_square(leaves)]
    if not squares:
        raise ForeignFileError("sets2sets: no tensor is a square over all items")
    items = max(squares)
    widths = [s[1] for s in shapes.values() if len(s) == 2 and s[0] == items != s[1]]
    if not widths:
        raise ForeignFileError(f"sets2sets: no tensor has one row for each of {items} items")
    width = widths[0]

    def table(ours: str, *words: str) -> Take:
        name = modules.one(ours, "a table of items", weight_of(items, width, bias=False), *words)
        return Take(f"{ours}.weight", f"{name}.weight", "items")

    def recurrent(ours: str, what: str, ending: str, *words: str) -> list[Take]:
        def is_it(leaves: dict[str, tuple[int, ...]]) -> bool:
            return any(leaf.startswith("weight_ih") for leaf in leaves)

        name = modules.one(ours, what, is_it, *words)
        leaves = modules.parts.get(name, {})
        last = "_l0" if "weight_ih_l0" in leaves else ""
        return [Take(f"{ours}.{leaf}{ending}", f"{name}.{leaf}{last}") for leaf in RECURRENT]

    def dense(ours: str, what: str, rows: int, columns: int, *words: str) -> str:
        return modules.one(ours, what, weight_of(rows, columns, bias=True), *words)

    output = dense("output", "the output layer", items, width, "out")
    gate = dense("gate", "the repeat gate", items, items)
    combine = dense("combine", "what follows the attention", width, 2 * width, "combine", "comb")
    attention = modules.given.get("attention") or _attention(modules, width, (combine, gate))
    length = modules.parts.get(attention, {}).get("weight", (0,))[0]
    takes = [
        table("encoder_embedding", "enc"),
        table("decoder_embedding", "dec"),
        *recurrent("encoder", "the GRU over baskets", "_l0", "enc"),
        *recurrent("decoder", "the GRU of the answer", "", "dec"),
        *(Take(f"attention.{p}", f"{attention}.{p}", "first rows") for p in ("weight", "bias")),
        *(Take(f"combine.{part}", f"{combine}.{part}") for part in ("weight", "bias")),
        *(Take(f"output.{part}", f"{output}.{part}", "items") for part in ("weight", "bias")),
        Take("gate.weight", f"{gate}.weight", "item pairs"),
        Take("gate_bias", f"{gate}.bias", "items"),
    ]
    note = (
        f"attention: rows 0 to {length - FRAME - 1} of {length}; theirs frames a history with two "
        "empty baskets, ours does not"
    )
    sizes = {"embedding_size": width, "max_history": length - FRAME}
    return Found(tuple(takes), sizes, (note,))


def _is_square(leaves: dict[str, tuple[int, ...]]) -> bool:
    shape = leaves.get("weight", ())
    return len(shape) == 2 and shape[0] == shape[1]


def _attention(modules: Modules, width: int, others: tuple[str, ...]) -> str:
    """The layer from twice the width to the longest history."""

    def is_it(leaves: dict[str, tuple[int, ...]]) -> bool:
        shape = leaves.get("weight", ())
        return len(shape) == 2 and shape[1] == 2 * width and "bias" in leaves

    found = [name for name in modules.all(is_it) if name not in others]
    if len(found) == 1:
        return found[0]
    return modules.one("attention", "the attention over baskets", is_it, "att")


MAP = ModelMap(
    model="sets2sets",
    theirs="Sets2Sets",
    item_table="",
    search=search,
    optional=(("item_weights_I", 1.0),),
)
