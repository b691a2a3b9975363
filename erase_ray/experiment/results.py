"""The columns of the stored tables, written once."""

RESULTS = (
    "task",
    "dataset",
    "model",
    "method",
    "scenario",
    "category",
    "fraction",
    "seed",
    "mark",
    "metric",
    "k",
    "value",
    "unit",
    "better",
    "n",
    "test_hash",
    "cell",
)
"""One measured number a row. ``results.parquet`` holds what the cell's key determines, so its
bytes are the same wherever it runs; ``costs.parquet`` has the same columns and holds seconds."""

REQUESTS = (
    "request",
    "user",
    "num_rows",
    "mark",
    "status",
    "reason",
    "num_forget",
    "num_cleaned",
    "num_gradients",
    "num_hvps",
    "step_norm",
    "seconds_data",
    "seconds_algorithm",
    "seconds_save",
    "details",
)
"""One request a row; ``mark`` is the first mark whose measurement includes it, ``details`` JSON."""

RANKED = (
    "mark",
    "asks",
    "query",
    "user",
    "row",
    "items",
    "relevant",
    "exposed_rank",
    "exposed_mass",
)
"""One query a row: the best item ids in order, and those that would have been right. For probes
also where the items stand whose exposure is measured: their mean rank in the whole ranking, and
their softmax probability together; NaN for test queries."""

OBSERVED = ("mark", "example", "row", "user", "request", "member", "value")
"""One example a row, of shadow models: the log softmax probability of its true items. ``request``
is its place in the chain, -1 for the population; ``member`` is True where it was trained on."""

ORIGINAL = "original"
"""The method column of the untouched base model."""

RETRAIN = "retrain"
"""The method that all others are compared with."""

BASE = "base"
"""The method of the cell that trains a base model; it has weights and no results."""

SHADOW = "shadow"
"""What plans count the cells of shadow models as."""
