"""Which family a method and a model belong to; outside parts say it in a class attribute."""

from functools import cache
from typing import Any, Literal

from erase_ray.methods import METHODS
from erase_ray.models import MODELS
from erase_ray.registry import REFERENCE, OutsidePartError, Registry

Family = Literal["recommender-specific", "graph-specific", "general-purpose", "exact", "reference"]

METHOD_FAMILIES: dict[str, Family] = {
    # an influence function with collaborative terms, made for recommenders (arXiv 2304.10199)
    "scif": "recommender-specific",
    # made for graph neural networks (WWW 2023, KDD 2023, KDD 2024), served to all models here
    "gif": "graph-specific",
    "ceu": "graph-specific",
    "idea": "graph-specific",
    # entries of the NeurIPS 2023 machine unlearning challenge, made for image classifiers
    "kookmin": "general-purpose",
    "fanchuan": "general-purpose",
    "seif": "general-purpose",
    "retrain": "exact",
    "sisa": "exact",
    "exact": "exact",
    # points to compare with, which no paper proposes
    "none": "reference",
    "finetune": "reference",
    "gradient_ascent": "reference",
    "original": "reference",
}
"""Family by name of the method; others count as ``general-purpose``. The reference editions of
methods, ``NAME.reference``, are points to compare with, too."""

APPROXIMATE: tuple[Family, ...] = ("recommender-specific", "graph-specific", "general-purpose")
"""Families whose methods approximate retraining."""
SPECIFIC: tuple[Family, ...] = ("recommender-specific",)
GENERAL: tuple[Family, ...] = ("graph-specific", "general-purpose")
"""Families of methods that were not made for recommenders."""

MODEL_FAMILIES = {
    "bpr": "factorisation",
    "lightgcn": "graph",
    "sgl": "graph",
    "gru4rec": "recurrent",
    "narm": "recurrent",  # with attention over the hidden states
    "sets2sets": "recurrent",
    "sasrec": "attention",
    "dnntsp": "attention",
    "srgnn": "session graph",
}
"""Family by name of the model; others (counts and neighbours) count as ``baseline``."""

SEQUENTIAL = ("recurrent", "attention")
"""Model families that question (b) of the benchmark asks about."""
BASELINE = "baseline"


def method_family(method: str) -> Family:
    """The family of a method."""
    if method.endswith(f".{REFERENCE}"):
        return "reference"
    return METHOD_FAMILIES.get(method) or _own(METHODS, method) or "general-purpose"


def model_family(model: str) -> str:
    """The family of a model."""
    return MODEL_FAMILIES.get(model) or _own(MODELS, model) or BASELINE


@cache
def _own(registry: Registry[Any], name: str) -> Any:
    """The ``family`` of a part of an installed package; empty where it says none."""
    if name not in registry.outside():
        return ""
    try:
        return getattr(registry.get(name), "family", "")
    except OutsidePartError:  # a report does not need it
        return ""
