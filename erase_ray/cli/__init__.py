"""The command ``erase-ray``."""
