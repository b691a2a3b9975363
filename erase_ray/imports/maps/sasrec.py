"""SASRec: items, positions, a norm, and blocks of attention and two dense layers."""

import re

from erase_ray.imports._mapping import (
    ITEMS,
    WIDTH,
    ModelMap,
    Must,
    Shapes,
    Size,
    Take,
    Told,
    layer,
    same,
)

ATTENTION = {
    "query": "query",
    "key": "key",
    "value": "value",
    "output": "dense",
    "output_norm": "LayerNorm",
}
DENSE = {"inner": "dense_1", "outer": "dense_2", "outer_norm": "LayerNorm"}
_BLOCK = re.compile(r"trm_encoder\.layer\.(\d+)\.")


def num_blocks(shapes: Shapes) -> int:
    """How many blocks their tensors make."""
    return len({match[1] for name in shapes if (match := _BLOCK.match(name))})


def tensors(shapes: Shapes) -> tuple[Take, ...]:
    """All tensors, block by block."""
    takes = [ITEMS, *same("position_embedding.weight"), *layer("norm", "LayerNorm")]
    for block in range(num_blocks(shapes)):
        ours, theirs = f"blocks.{block}", f"trm_encoder.layer.{block}"
        for own, name in ATTENTION.items():
            takes += layer(f"{ours}.{own}", f"{theirs}.multi_head_attention.{name}")
        for own, name in DENSE.items():
            takes += layer(f"{ours}.{own}", f"{theirs}.feed_forward.{name}")
    return tuple(takes)


MAP = ModelMap(
    model="sasrec",
    theirs="SASRec",
    tensors=tensors,
    sizes=(
        WIDTH,
        Size("max_length", "position_embedding.weight", 0),
        Size("inner_size", "trm_encoder.layer.0.feed_forward.dense_1.weight", 0),
    ),
    told=(
        Told("num_layers", "n_layers", scores=True),
        Told("num_heads", "n_heads", scores=True),
        Told("dropout", "hidden_dropout_prob"),
        Told("attention_dropout", "attn_dropout_prob"),
    ),
    musts=(Must("hidden_act", "gelu"), Must("layer_norm_eps", 1e-12)),
)
