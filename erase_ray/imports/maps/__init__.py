"""How the weights of RecBole's models lie in ours; one file a model."""

from importlib import import_module
from pkgutil import iter_modules

from erase_ray.errors import UnknownNameError
from erase_ray.imports._mapping import ModelMap


def map_names() -> list[str]:
    """Names of the models whose weights can be taken in, as ours are called."""
    return sorted(module.name for module in iter_modules(__path__))


def model_map(name: str) -> ModelMap:
    """The map of a model.

    Raises:
        UnknownNameError: There is none.
    """
    known = map_names()
    if name not in known:
        raise UnknownNameError(f"weights of '{name}' cannot be imported. Known: {', '.join(known)}")
    return import_module(f"{__name__}.{name}").MAP
