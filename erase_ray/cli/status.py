"""The verb ``erase-ray status``."""

from typing import Any


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
