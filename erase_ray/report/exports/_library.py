"""Optional libraries, imported when they are asked for."""

import importlib
from types import ModuleType

from erase_ray.errors import EraseError


def library(name: str, extra: str) -> ModuleType:
    """A module of an optional library.

    Raises:
        EraseError: It is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EraseError(
            f"this needs a library that is not here ({error}); "
            f"pip install 'erase-ray[{extra}]' brings it"
        ) from error
