"""The method `fade` and the metric `average_precision` for the benchmark ERASE."""
