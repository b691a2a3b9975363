"""ERASE, the benchmark of machine unlearning in recommender systems, at cluster scale."""

__version__ = "0.1.0"
