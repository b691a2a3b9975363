"""ERASE, the benchmark of machine unlearning in recommender systems, at cluster scale.

For notebooks: :func:`run` a grid, :func:`load_results` of a store, :func:`fit` a model on a data
frame, :func:`unlearn` rows of it. Nothing of this is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from erase_ray.api.answering import evaluate
    from erase_ray.api.fitting import Fitted, fit, load_model
    from erase_ray.api.progress import Step
    from erase_ray.api.results import Results, load_results
    from erase_ray.api.running import run
    from erase_ray.api.unlearning import Unlearned, unlearn
    from erase_ray.api.wrapping import Wrapped, wrap
    from erase_ray.errors import EraseError

__all__ = [
    "EraseError",
    "Fitted",
    "Results",
    "Step",
    "Unlearned",
    "Wrapped",
    "__version__",
    "evaluate",
    "fit",
    "load_model",
    "load_results",
    "run",
    "unlearn",
    "wrap",
]

_HOMES = {
    "EraseError": "errors",
    "Fitted": "api.fitting",
    "Results": "api.results",
    "Step": "api.progress",
    "Unlearned": "api.unlearning",
    "Wrapped": "api.wrapping",
    "evaluate": "api.answering",
    "fit": "api.fitting",
    "load_model": "api.fitting",
    "load_results": "api.results",
    "run": "api.running",
    "unlearn": "api.unlearning",
    "wrap": "api.wrapping",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
