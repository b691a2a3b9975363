"""A checkpoint of RecBole: its weights, and what it records about itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from erase_ray.experiment._tensor_files import sha256
from erase_ray.imports._mapping import Shapes
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.unpickle import Inert, read

CONFIGURATION = "final_config_dict"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was read.

    Args:
        path: The file.
        sha256: Of the file.
        state: The weights by name.
        config: The recorded configuration, plain values alone; empty if there is none.
        epoch: Number of the epoch, from 0; -1 if not recorded.
    """

    path: Path
    sha256: str
    state: dict[str, Tensor]
    config: dict[str, Any]
    epoch: int

    @property
    def shapes(self) -> Shapes:
        """Shape of each tensor by name."""
        return {name: tuple(tensor.shape) for name, tensor in self.state.items()}


def read_checkpoint(path: str | Path) -> Checkpoint:
    """A checkpoint with the key ``state_dict``, or a bare dictionary of tensors.

    Raises:
        ForeignFileError: The file cannot be read, see :func:`erase_ray.imports.unpickle.read`, or
            holds no weights.
    """
    path = Path(path)
    content = read(path)
    if not isinstance(content, dict):
        raise ForeignFileError(f"{path.name} holds a {type(content).__name__}, no weights")
    state = content.get("state_dict", content)
    is_state = isinstance(state, dict) and state and all(isinstance(k, str) for k in state)
    if not is_state or not all(isinstance(value, Tensor) for value in state.values()):
        shown = ", ".join(str(key)[:40] for key in list(content)[:8]) or "nothing"
        raise ForeignFileError(
            f"{path.name} has no dictionary of tensors as state_dict; it holds {shown}"
        )
    epoch = content.get("epoch", -1)
    return Checkpoint(
        path=path,
        sha256=sha256(path),
        state=dict(state),
        config=_configuration(content.get("config")),
        epoch=epoch if type(epoch) is int else -1,
    )


def _configuration(found: Any) -> dict[str, Any]:
    state = found.state if isinstance(found, Inert) else found
    if not isinstance(state, dict):
        return {}
    final = state.get(CONFIGURATION, state)
    if not isinstance(final, dict):
        return {}
    return {key: value for key, value in final.items() if isinstance(key, str) and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, str | int | float | bool | type(None))
