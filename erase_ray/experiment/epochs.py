"""Epochs of a training run, kept in the store so that another process can go on from the last."""

import hashlib
import time
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from erase_ray.checkpoints import TrainingState
from erase_ray.data.interactions import Interactions
from erase_ray.errors import StoreError
from erase_ray.experiment.journal import Journal, Snapshot
from erase_ray.experiment.pace import Pace, Rhythm
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.tools import OnEpoch
from erase_ray.models import Model, TrainingSettings
from erase_ray.training import TrainingRecord

EVERY_EPOCH = Pace(every_s=0.0, mark_s=0.0, share=float("inf"))
"""For runs that would take long to do again."""
FOLDER = "epochs"


class EpochJournal:
    """A :class:`erase_ray.checkpoints.Checkpoint` in the store.

    Args:
        journal: Holds the epochs of this run alone.
        pace: How often an epoch is kept.
        on_epoch: Told of the epochs that were run elsewhere, when they are loaded.
        workers: Processes that train together here; 0 for one that trains alone.
        must_keep: Whether an epoch that cannot be kept is an error, and not merely a pity.
    """

    def __init__(
        self,
        journal: Journal,
        pace: Pace,
        on_epoch: OnEpoch | None = None,
        workers: int = 0,
        must_keep: bool = False,
    ) -> None:
        self._journal, self._rhythm = journal, Rhythm(pace)
        self._on_epoch = on_epoch
        self._must_keep = must_keep
        self._started = time.monotonic()
        self.workers = workers
        self.seconds_before = 0.0
        """What the epochs that were loaded took."""

    def load(self) -> TrainingState | None:
        """The state after the last epoch that was kept; None if there is none."""
        snapshot = self._journal.load()
        if snapshot is None:
            return None
        facts = snapshot.facts
        tensors = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
        state = TrainingState(facts["run"], facts["losses"], facts["curve"], tensors)
        self.seconds_before = facts["seconds"]
        self.workers = max(self.workers, facts["workers"])
        self._started = time.monotonic()
        if self._on_epoch is not None:
            for epoch, loss in enumerate(state.losses):
                self._on_epoch(epoch, loss, state.curve[epoch] if state.curve else None)
        return state

    def save(self, state: TrainingState) -> None:
        """Keep ``state`` if it is time to.

        Raises:
            StoreError: It could not be kept, and has to be.
        """
        if not self._rhythm.is_due():
            return
        with self._rhythm.beat():
            facts = {
                "run": state.run,
                "losses": state.losses,
                "curve": state.curve,
                "seconds": self.seconds_before + time.monotonic() - self._started,
                "workers": self.workers,
            }
            tensors = {name: _on_cpu(tensor) for name, tensor in state.tensors.items()}
            is_kept = self._journal.save(Snapshot(len(state.losses), facts, tensors))
        if self._must_keep and not is_kept:
            raise StoreError(f"epoch {len(state.losses) - 1} could not be kept; see the warnings")

    def settle(self) -> None:
        """Wait until all that was kept is in the storage.

        Raises:
            StoreError: Something could not be put.
        """
        self._journal.blobs.settle(self._journal.folder)


@dataclass(frozen=True)
class TeamRecord(TrainingRecord):
    """How a training went that several processes shared.

    Args:
        workers: How many they were, at most.
    """

    workers: int = 0


def is_over(state: TrainingState, settings: TrainingSettings) -> bool:
    """Whether no epoch is left to run."""
    waited = len(state.curve) - 1 - _best(state.curve) if state.curve else 0
    return len(state.losses) >= settings.epochs or waited >= settings.patience


def collected(model: Model, state: TrainingState, kept: EpochJournal) -> TeamRecord:
    """Put the best weights of a finished run into ``model``, and say how it went.

    Args:
        model: Any weights.
        state: After the last epoch.
        kept: Where it was loaded from.
    """
    weights = state.part("best") if state.curve else state.part("model")
    model.load_state_dict(weights)
    num_epochs = len(state.losses)
    return TeamRecord(
        best_epoch=_best(state.curve) if state.curve else num_epochs - 1,
        epochs=num_epochs,
        valid_curve=state.curve,
        losses=state.losses,
        seconds=kept.seconds_before,
        workers=kept.workers,
    )


def epoch_journal(setting: Setting, interactions: Interactions, device: str) -> Journal:
    """Where the epochs of a training of the cell on ``interactions`` are kept.

    Args:
        setting: What the cell works on.
        interactions: The rows that are left.
        device: Type of the device that is trained on.
    """
    identity = {"device": device, "rows": _digest(interactions.row)}
    return setting.store.journal(setting.cell.key, {}).branch(FOLDER, identity)


def _best(curve: list[float]) -> int:
    """The first epoch of those with the highest value."""
    return curve.index(max(curve))


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu()
