"""Data, weights and results of other programs; nothing in their files is run."""
