"""Adam over all parameters of a model, dense tables and block tables alike.

Kingma, Ba: "Adam: A Method for Stochastic Optimization", ICLR 2015.
"""

import mmap

import torch
from torch import Tensor

from erase_ray.models._base import Model
from erase_ray.models._block_table import BlockTable
from erase_ray.models._sharded import shard_of
from erase_ray.models._sums import Sums, sum_of_entries
from erase_ray.team import Team

BETAS = (0.9, 0.999)
EPS = 1e-8
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Adam:
    """One optimiser for a whole model; call :meth:`close` when done with it.

    An entry of a :class:`BlockTable` moves, and its moments decay, only in steps in which it lies
    in a block that was read. Dense Adam would also move it in all other steps, by momentum alone
    (0.9 to the number of steps since) and by weight decay. Everything else is dense Adam; both
    are the same when every entry is read in every step.

    Args:
        model: The model; parameters that do not require a gradient now are left out.
        learning_rate: Step size.
        weight_decay: L2 penalty that is added to the gradient.
        betas: Decay of the two moments.
        eps: Added to the root of the second.
        team: Whose gradients are added up before each step; None: this process is alone.
    """

    def __init__(
        self,
        model: Model,
        learning_rate: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = BETAS,
        eps: float = EPS,
        team: Team | None = None,
    ) -> None:
        tables = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, BlockTable) and module.weight.requires_grad
        }
        apart = {id(table.weight) for table in tables.values()}
        self._weights = {
            name: weight
            for name, weight in model.named_parameters()
            if weight.requires_grad and id(weight) not in apart
        }
        self._blocks = {
            name: BlockAdam(table, learning_rate, weight_decay, betas, eps, team)
            for name, table in tables.items()
        }
        self._dense = torch.optim.Adam(
            self._weights.values(),
            lr=learning_rate,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            fused=True,
        )
        self._sums = None if team is None else Sums(model, self._weights.values(), team)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the step size of the steps to come."""
        for group in self._dense.param_groups:
            group["lr"] = learning_rate
        for block in self._blocks.values():
            block.learning_rate = learning_rate

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by ``<parameter>/<part>``; those of the last step, not copies."""
        tensors = {
            f"{name}/{part}": value
            for name, weight in self._weights.items()
            for part, value in self._dense.state.get(weight, {}).items()
        }
        for name, block in self._blocks.items():
            tensors |= {f"{name}/{part}": value for part, value in block.state().items()}
        return tensors

    def moments(self) -> list[Tensor]:
        """The moments themselves, but for those of tables that a team shares out."""
        whole = [weight for weight in self._weights.values() if shard_of(weight) is None]
        dense = [part for weight in whole for part in self._dense.state.get(weight, {}).values()]
        return [*dense, *(torch.view_as_real(block.moments) for block in self._blocks.values())]

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        for name, weight in self._weights.items():
            parts = {part: state[f"{name}/{part}"] for part in MOMENTS if f"{name}/{part}" in state}
            if parts:
                self._dense.state[weight] = {
                    k: v.clone().to(weight.device) for k, v in parts.items()
                }
        for name, block in self._blocks.items():
            block.load({part: state[f"{name}/{part}"] for part in block.state()})

    def listen(self) -> None:
        """Begin to note what a team reads; called before each loss where there is one."""
        if self._sums is not None:
            self._sums.listen()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._dense.zero_grad(set_to_none=True)
        for block in self._blocks.values():
            block.zero_grad()

    def step(self) -> None:
        """Move the parameters along the gradients of the last backward pass."""
        if self._sums is not None:
            self._sums.combine()
        self._dense.step()
        for block in self._blocks.values():
            block.step()

    def close(self) -> None:
        """Drop all gradients and give block tables their ordinary gradients back."""
        self.zero_grad()
        for block in self._blocks.values():
            block.close()
        if self._sums is not None:
            self._sums.close()


class BlockAdam:
    """Adam over the entries of a table that were read (see :class:`Adam`).

    Both moments of all entries lie side by side in memory, so a block costs two walks through
    memory, not three. Pages that are never touched are never allocated.
    """

    def __init__(
        self,
        table: BlockTable,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
        team: Team | None = None,
    ) -> None:
        self._table, self._team = table, team
        self._betas, self._eps = betas, eps
        self.learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._num_steps = 0
        self.moments = _untouched_zeros(table.weight)
        table.lend(True)

    def zero_grad(self) -> None:
        """Forget the blocks that were read."""
        self._table.collect()

    def step(self) -> None:
        """Update the entries of all blocks that have a gradient; those of several are added up."""
        self._num_steps += 1
        blocks = self._table.collect()
        if not blocks and self._team is None:
            return
        flat, grad = self._summed(blocks)
        with torch.no_grad():
            weight = self._table.weight.view(-1)
            is_one = len(blocks) == 1 and self._team is None
            values = blocks[0][1] if is_one else weight.index_select(0, flat)
            if self._weight_decay:
                grad = grad.add(values, alpha=self._weight_decay)
            weight.index_copy_(0, flat, self._moved(flat, values, grad))

    def state(self) -> dict[str, Tensor]:
        """Number of steps, and the moments of the entries that were ever read."""
        touched = self.moments.nonzero().flatten()
        return {
            "step": torch.tensor(self._num_steps),
            "entry": touched,
            "moments": torch.view_as_real(self.moments[touched]),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        self._num_steps = int(state["step"])
        device = self.moments.device
        moments = torch.view_as_complex(state["moments"].to(device).contiguous())
        self.moments[state["entry"].to(device)] = moments

    def close(self) -> None:
        """End the lending; the moments are of no use afterwards."""
        self._table.lend(False)

    def _summed(self, blocks: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        if self._team is None:
            return _summed(blocks)
        weight = self._table.weight.detach()
        nothing = (weight.new_zeros(0, dtype=torch.int64), weight.new_zeros(0))
        return sum_of_entries(*(_summed(blocks) if blocks else nothing), self._team)

    def _moved(self, flat: Tensor, values: Tensor, grad: Tensor) -> Tensor:
        pair = self.moments.index_select(0, flat)
        first, second = torch.view_as_real(pair).unbind(1)
        beta_1, beta_2 = self._betas
        first.lerp_(grad, 1 - beta_1)
        second.mul_(beta_2).addcmul_(grad, grad, value=1 - beta_2)
        self.moments.index_copy_(0, flat, pair)
        correct_1, correct_2 = (1 - beta**self._num_steps for beta in self._betas)
        spread = second.sqrt().mul_(correct_2**-0.5).add_(self._eps)
        return values.addcdiv(first, spread, value=-self.learning_rate / correct_1)


def _untouched_zeros(weight: Tensor) -> Tensor:
    """Two zeros for each weight, as one complex number.

    On the CPU they are pages that the system provides when they are first touched, small ones:
    tensors and NumPy arrays of this size would be filled, or backed by huge pages, at once.
    """
    pair = torch.promote_types(weight.dtype, torch.complex64)
    if weight.device.type != "cpu":
        return torch.zeros(weight.numel(), dtype=pair, device=weight.device)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    pages = mmap.mmap(-1, weight.numel() * pair.itemsize, flags=flags)
    return torch.frombuffer(pages, dtype=pair)


def _summed(blocks: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Distinct positions and the sum of the gradients at each."""
    if len(blocks) == 1:
        return blocks[0][0], _gradient(blocks[0][1])
    flat, place = torch.unique(torch.cat([flat for flat, _ in blocks]), return_inverse=True)
    grads = torch.cat([_gradient(block) for _, block in blocks])
    return flat, grads.new_zeros(len(flat)).index_add_(0, place, grads)


def _gradient(block: Tensor) -> Tensor:
    assert block.grad is not None
    return block.grad
