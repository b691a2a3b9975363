"""Generators of raw files in the original formats, one file a format, and their truth."""
