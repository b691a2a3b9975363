"""Logging set-up for jobs; the package itself only asks for loggers."""

import logging
import sys


def set_up(level: str = "WARNING") -> None:
    """Send log lines of ``level`` and above to standard error, one line each."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
