"""The card of a dataset of results: what is inside, what it means, and how it was made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from erase_ray.metrics import METRICS
from erase_ray.report.glossary import COLUMNS

PAPER = "ERASE, a benchmark of machine unlearning in recommender systems"
CITATION = """@misc{erase_ray,
  title = {erase\\_ray: the ERASE benchmark of machine unlearning in recommender systems},
  note = {Results of @NAME@, made with erase\\_ray @VERSION@},
  year = {@YEAR@}
}"""
TAGS = ["machine-unlearning", "recommender-systems", "benchmark", "tabular"]
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
CONFIGS = {
    "results": "One measured number a row.",
    "requests": "One request a row: what became of it, and what it took.",
    "costs": "One cost a row, such as seconds or memory; like results in all else.",
    "cells": "One cell a row: its settings, and how it was made.",
}
"""Tables of the dataset, the first one being what is loaded by default."""


@dataclass(frozen=True)
class Content:
    """What the card is about.

    Args:
        name: Of the run or grid.
        licence: An identifier of Hugging Face.
        tables: By the name of the config.
        versions: Of Python and libraries, all that occur, by name.
    """

    name: str
    licence: str
    tables: Mapping[str, pa.Table]
    versions: Mapping[str, list[str]]


def card(content: Content) -> str:
    """The text of ``README.md``."""
    parts = (
        f"---\n{_front(content)}---\n",
        f"# ERASE results: {content.name}\n",
        f"Results of {PAPER}: how well methods make a trained recommender forget, what that costs, "
        "and how it compares with training again from scratch. One row is one number; rows with "
        "the same `test_hash` were measured on the same queries.\n",
        _statistics(content),
        *(_columns(content, name) for name in CONFIGS),
        _metrics(content),
        _made(content),
        f"## Citation\n\n```bibtex\n{_citation(content)}\n```\n",
    )
    return "\n".join(parts)


def _front(content: Content) -> str:
    rows = len(content.tables["results"])
    size = next((name for most, name in _SIZES if rows < most), "n>1M")
    values = {
        "pretty_name": f"ERASE results: {content.name}",
        "license": content.licence,
        "language": ["en"],
        "tags": TAGS,
        "size_categories": [size],
        "configs": [
            {"config_name": name, "data_files": f"data/{name}.parquet"}
            | ({"default": True} if name == "results" else {})
            for name in CONFIGS
        ],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _statistics(content: Content) -> str:
    cells = content.tables["cells"].to_pandas()
    found = cells.groupby(["dataset", "model"], sort=True, dropna=False)
    rows = [
        [dataset, model, len(part), _listed(part["method"]), _listed(part["seed"])]
        for (dataset, model), part in found
    ]
    counts = ", ".join(f"{len(content.tables[name])} rows of {name}" for name in CONFIGS)
    table = _table(["dataset", "model", "cells", "methods", "seeds"], rows)
    return f"## What is inside\n\n{counts}.\n\n{table}"


def _columns(content: Content, name: str) -> str:
    schema = content.tables[name].schema
    rows = [[f"`{field.name}`", field.type, COLUMNS[field.name]] for field in schema]
    return f"## {name}\n\n{CONFIGS[name]}\n\n{_table(['column', 'type', 'meaning'], rows)}"


def _metrics(content: Content) -> str:
    frame = content.tables["results"].select(["metric", "unit", "better"]).to_pandas()
    known = frame.drop_duplicates("metric").sort_values("metric")
    names = known["metric"].str.partition(".")
    rows = [
        [
            f"`{name}`",
            _listed(part["unit"]),
            _listed(part["better"]),
            _listed(groups),
            _meaning(name),
        ]
        for name, part in known.groupby(names[0])
        for groups in [names.loc[part.index, 2].replace("", None)]
    ]
    head = ["metric", "unit", "better", "also for the groups", "meaning"]
    return f"## Metrics\n\n{_table(head, rows)}"


def _meaning(name: Any) -> str:
    """The first sentence of a metric; audits have theirs elsewhere."""
    if name not in METRICS.names():
        return ""
    return (METRICS.get(name).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _made(content: Content) -> str:
    versions = [[name, ", ".join(found)] for name, found in sorted(content.versions.items())]
    cells = content.tables["cells"].to_pandas()
    return (
        "## How it was made\n\n"
        f"With erase_ray, on devices of the kinds {_listed(cells['device'])}, with the seeds "
        f"{_listed(cells['seed'])}. Everything random follows from a cell's seed and settings, "
        "which `cells` has in full; a cell that is run again on the same kind of device with the "
        f"same versions gives the same numbers.\n\n{_table(['library', 'versions'], versions)}"
    )


def _citation(content: Content) -> str:
    created = content.tables["cells"]["created"].to_pylist()
    version = content.versions.get("erase-ray", ["unknown"])[-1]
    words = {"@NAME@": content.name, "@VERSION@": version, "@YEAR@": max(created, default="")[:4]}
    text = CITATION
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _listed(column: pd.Series) -> str:
    return ", ".join(str(value) for value in sorted(set(column.dropna())))


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    texts = [[str(value).replace("|", "\\|") for value in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in texts)
