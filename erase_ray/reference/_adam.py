"""The one optimiser of the published trainer, and fine-tuning with it."""

from collections.abc import Callable

import torch
from torch import Tensor

from erase_ray.reference._work import Work, batch_loss

SLOTS = ("step", "exp_avg", "exp_avg_sq")


class SharedAdam:
    """Adam over all parameters whose moments are those that the last request left.

    Rows that no mini-batch reads have gradients of 0, not none, so those of earlier people go on
    drifting; a parameter that a loss does not read at all is not stepped. The moments live in
    ``request.state``.

    Args:
        work: The request.
        rate_factor: Factor of the learning rate of the training.
        forgets: Whether to begin without a past.
    """

    def __init__(self, work: Work, rate_factor: float = 1.0, forgets: bool = False) -> None:
        training, state = work.request.world.training, work.request.state
        self.rate = training.learning_rate * rate_factor
        self.num_steps = 0
        self._work = work
        self._named = {n: w for n, w in work.model.named_parameters() if w.requires_grad}
        self._adam = torch.optim.Adam(
            self._named.values(),
            lr=self.rate,
            betas=(training.beta_1, training.beta_2),
            eps=training.epsilon,
            weight_decay=training.weight_decay,
        )
        for name, weight in self._named.items():
            if not forgets and _key(name, "step") in state:
                slots = {slot: state[_key(name, slot)].clone() for slot in SLOTS}
                # Adam counts on the host
                self._adam.state[weight] = slots | {"step": slots["step"].cpu()}

    def set_rate(self, rate: float) -> None:
        """Set the step size of what follows."""
        for group in self._adam.param_groups:
            group["lr"] = rate

    def step(self, loss: Tensor, edit: Callable[[], None] | None = None) -> None:
        """One step down ``loss``; ``edit`` may change the gradients before it."""
        self._adam.zero_grad()
        loss.backward()
        if edit:
            edit()
        self._adam.step()
        self._adam.zero_grad()
        self.num_steps += 1
        self._work.num_gradients += 1

    def keep(self) -> None:
        """Leave the moments to the next request; no step may follow."""
        for name, weight in self._named.items():
            for slot, tensor in self._adam.state.get(weight, {}).items():
                self._work.request.state[_key(name, slot)] = tensor.detach()


def fine_tune(
    work: Work,
    adam: SharedAdam,
    num: int,
    edit: Callable[[], None] | None = None,
    before_epoch: Callable[[], None] = lambda: None,
) -> bool:
    """``FT(num)``: 1 + num // R epochs over the first ``num`` examples of a shuffled S each.

    Args:
        work: The request.
        adam: Takes one step a mini-batch.
        num: Examples.
        edit: May change the gradients before a step.
        before_epoch: Called before each epoch.

    Returns:
        False if the deadline was over before the last step.
    """
    loader = work.loader(work.view.retain, f"fine-tune {adam.num_steps}")
    for _ in range(1 + num // work.view.num_retain):
        before_epoch()
        work.start_epoch()
        for batch in loader.batches(num):
            if work.request.deadline.passed():
                return False
            adam.step(batch_loss(work.model, batch), edit)
    return True


def cut_short(work: Work, adam: SharedAdam) -> str:
    """The reason of an outcome whose steps the deadline cut short."""
    return f"{work.request.deadline.limit_s:g} s were over after {adam.num_steps} steps of Adam"


def _key(name: str, slot: str) -> str:
    return f"adam/{name}/{slot}"
