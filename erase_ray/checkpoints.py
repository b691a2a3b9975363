"""The state of a training run between two epochs, and where it is kept."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from erase_ray.errors import TrainingError


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that the epochs to come depend on.

    Args:
        run: What is trained on what and how; a state goes on only where this is the same.
        losses: Mean training loss of each epoch so far.
        curve: Selection metric after each of them; empty where nothing is validated.
        tensors: Weights (``model/...``), best weights (``best/...``) and moments (``adam/...``).
    """

    run: dict[str, Any]
    losses: list[float]
    curve: list[float]
    tensors: dict[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``name/``, without that."""
        start = f"{name}/"
        return {key[len(start) :]: t for key, t in self.tensors.items() if key.startswith(start)}

    def check(self, run: dict[str, Any]) -> None:
        """Refuse to go on with another run.

        Raises:
            TrainingError: ``run`` is not the one that the state belongs to.
        """
        keys = self.run.keys() | run.keys()
        other = sorted(key for key in keys if self.run.get(key) != run.get(key))
        if other:
            texts = [f"{key} is {run.get(key)!r}, was {self.run.get(key)!r}" for key in other]
            raise TrainingError(
                f"the saved state belongs to another training run: {'; '.join(texts)}. "
                "Give this run a place of its own, or delete the saved state"
            )


class Checkpoint(Protocol):
    """Where the state of one run is kept."""

    def load(self) -> TrainingState | None:
        """The state of the last saved epoch; None if there is none."""
        ...

    def save(self, state: TrainingState) -> None:
        """Keep ``state`` in place of what was kept before; called after every epoch.

        Its tensors change afterwards: write or copy them before returning.
        """
        ...


class FileCheckpoint:
    """One safetensors file, replaced as a whole so that a crash leaves the old or the new one.

    Args:
        path: On a local disk; its folder is made if need be.
        every: Epochs from one writing to the next.
    """

    def __init__(self, path: Path | str, every: int = 1) -> None:
        self.path = Path(path)
        self.every = every

    def load(self) -> TrainingState | None:
        """The state in the file; None if there is no file.

        Raises:
            TrainingError: The file is damaged or of another kind.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{self.path} is no saved training state ({error}); delete it to begin anew"
            ) from error
        return TrainingState(facts["run"], facts["losses"], facts["curve"], tensors)

    def save(self, state: TrainingState) -> None:
        """Write the file, unless it is not yet time."""
        if len(state.losses) % self.every:
            return
        facts = {"run": state.run, "losses": state.losses, "curve": state.curve}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        tensors = {name: t.detach().cpu().contiguous() for name, t in state.tensors.items()}
        try:
            save_file(tensors, draft, {"state": json.dumps(facts)})
            os.replace(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)
