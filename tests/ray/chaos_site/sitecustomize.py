"""Loaded by every Python process that has this folder in PYTHONPATH; see ``chaos_hooks.py``."""

import os

if os.environ.get("CHAOS_DIR"):
    import chaos_hooks

    chaos_hooks.install()
