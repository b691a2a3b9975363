"""A set of results that others can check: packed, read and compared with what comes out again."""
