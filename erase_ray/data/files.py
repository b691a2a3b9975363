"""A prepared dataset as four Parquet files, always the same bytes for the same data."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.data.names import Names
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import DataError

compute: Any = pyarrow.compute  # its functions are made at run time

INTERACTIONS, SPLIT = "interactions.parquet", "split.parquet"
VOCABULARY, CATALOGUE = "vocabulary.parquet", "catalogue.parquet"
KINDS = ("user", "item", "sequence")
LABEL, CATEGORY = "label", "category:"
"""Columns of the catalogue: the label, and one a category with this in front of its name."""


def to_files(prepared: Prepared) -> dict[str, bytes]:
    """The content of each file, by name."""
    vocabulary, catalogue = prepared.vocabulary, prepared.catalogue
    names = (vocabulary.users, vocabulary.items, vocabulary.sequences)
    kinds = np.repeat(KINDS, [len(outer) for outer in names])
    outer = pa.concat_arrays([name.array for name in names])
    flags = {f"{CATEGORY}{name}": mask for name, mask in sorted(catalogue.categories.items())}
    return {
        INTERACTIONS: _written(dict(prepared.interactions.columns())),
        SPLIT: _written({"mark": prepared.split.marks}),
        VOCABULARY: _written({"kind": kinds, "outer": outer}),
        CATALOGUE: _written({LABEL: catalogue.labels.array, **flags}),
    }


def from_files(files: dict[str, bytes], dataset: str, task: str) -> Prepared:
    """The prepared dataset again.

    Raises:
        DataError: A file is missing or damaged, or the files do not fit together.
    """
    columns = _read(files, INTERACTIONS, COLUMNS)
    interactions = Interactions.prepared(columns)
    split = Split(_read(files, SPLIT, ("mark",))["mark"].astype(np.int8))
    outer = _read_table(files, VOCABULARY, ("kind", "outer"))
    users, items, sequences = (
        Names(outer["outer"].filter(compute.equal(outer["kind"], kind))) for kind in KINDS
    )
    table = _read_table(files, CATALOGUE, (LABEL,))
    flags = {
        name.removeprefix(CATEGORY): table[name].to_numpy()
        for name in table.column_names
        if name.startswith(CATEGORY)
    }
    catalogue = Catalogue(Names(table[LABEL]), flags)
    prepared = Prepared(
        dataset, task, interactions, split, Vocabulary(users, items, sequences), catalogue
    )
    _check(prepared)
    return prepared


def _check(prepared: Prepared) -> None:
    table, vocabulary = prepared.interactions, prepared.vocabulary
    sizes = {
        "users": (len(vocabulary.users), table.num_users),
        "items": (len(vocabulary.items), table.num_items),
        "sequences": (len(vocabulary.sequences), table.num_sequences),
        "labels": (len(prepared.catalogue.labels), table.num_items),
        "marks": (len(prepared.split.marks), len(table)),
    }
    for what, (found, expected) in sizes.items():
        if found != expected:
            raise DataError(f"{prepared.dataset}: {found} {what}, the interactions need {expected}")


def _written(columns: dict[str, Any]) -> bytes:
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def _read(files: dict[str, bytes], name: str, expected: tuple[str, ...]) -> dict[str, np.ndarray]:
    table = _read_table(files, name, expected)
    return {column: table[column].to_numpy() for column in table.column_names}


def _read_table(files: dict[str, bytes], name: str, expected: tuple[str, ...]) -> Any:
    if name not in files:
        raise DataError(f"{name} is missing; found {sorted(files)}")
    try:
        table = pq.read_table(io.BytesIO(files[name]))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name} is damaged: {' '.join(str(error).split())[:200]}") from error
    missing = [column for column in expected if column not in table.column_names]
    if missing:
        raise DataError(f"{name} lacks the columns {missing}; it has {table.column_names}")
    return table
