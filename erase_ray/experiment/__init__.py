"""Cells, grids, plans, chains of requests and the store they end in."""
