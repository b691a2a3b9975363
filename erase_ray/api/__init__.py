"""The Python interface for notebooks; its names are those of :mod:`erase_ray` itself."""
