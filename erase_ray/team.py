"""Several processes that train one model together, and how they speak with each other.

Whoever starts the processes initialises ``torch.distributed`` (gloo on CPUs, NCCL on GPUs); here
are the few collective operations that training needs. All members must call them in the same
order. What comes out is the same on all members, bit by bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from erase_ray.errors import TrainingError

BUCKET_BYTES = 1 << 25
"""Small tensors are sent together, up to about this much at once."""


@dataclass(frozen=True)
class Team:
    """The processes of the default process group; this one is number ``rank`` of ``size``."""

    rank: int
    size: int

    @classmethod
    def current(cls) -> "Team | None":
        """The team that this process is in; None where it is alone.

        A process group of one member is a team as well, to which everything comes back unchanged.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return None
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this is the member that writes and reports."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Where tensors must be to be sent, unless they are on the device that is trained on."""
        if dist.get_backend() == "nccl":
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("cpu")

    def part(self, number: int) -> range:
        """The own contiguous part of ``number`` things; parts differ by one at most."""
        return self.part_of(self.rank, number)

    def part_of(self, rank: int, number: int) -> range:
        """The same of any member."""
        return range(rank * number // self.size, (rank + 1) * number // self.size)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the members, in place."""
        for bucket in _buckets(tensors):
            if len(bucket) == 1 and bucket[0].is_contiguous():
                dist.all_reduce(bucket[0])
                continue
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def follow(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of member 0, in place."""
        for tensor in tensors:
            sent = tensor.detach().contiguous()
            dist.broadcast(sent, 0)
            if sent.data_ptr() != tensor.data_ptr():
                tensor.detach().copy_(sent)

    def numbers(self, own: Sequence[int]) -> list[list[int]]:
        """Some integers of every member, by member."""
        mine = torch.tensor(list(own), dtype=torch.int64, device=self.device)
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyone, mine)
        return torch.stack(everyone).tolist()

    def any(self, answer: bool) -> bool:
        """Whether any member says yes, such as to "should we stop?"."""
        return any(said for (said,) in self.numbers([int(answer)]))

    def gather(self, rows: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """The rows of all members, one member after the other.

        Args:
            rows: Any number of rows, equal in what follows the first dimension.
            sizes: How many each member has, if that is known; otherwise they tell each other.
        """
        if sizes is None:
            sizes = [size for (size,) in self.numbers([len(rows)])]
        most = max(sizes)
        filled = rows.detach().contiguous()
        if len(rows) < most:
            filled = torch.cat([filled, filled.new_zeros(most - len(rows), *rows.shape[1:])])
        everyone = [torch.empty_like(filled) for _ in range(self.size)]
        dist.all_gather(everyone, filled)
        return torch.cat([part[:size] for part, size in zip(everyone, sizes, strict=True)])

    def exchange(self, rows: Tensor, sent: Sequence[int], received: Sequence[int]) -> Tensor:
        """Send rows to each member and get rows from each.

        Args:
            rows: Those for member 0, then those for member 1, and so on.
            sent: How many of them are for each member.
            received: How many come from each.
        """
        found = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(found, rows.contiguous(), list(received), list(sent))
        return found

    def collect(self, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        """The rows of all members in the memory of member 0's host; elsewhere ``rows`` again.

        Args:
            rows: As :meth:`gather` takes them; sent one member after the other.
            sizes: How many each member has.
        """
        rows = rows.detach().contiguous()
        if not self.leads:
            dist.send(rows, 0)
            return rows
        whole = torch.empty(sum(sizes), *rows.shape[1:], dtype=rows.dtype)
        parts = whole.split(list(sizes))
        parts[0].copy_(rows)
        for rank in range(1, self.size):
            part = torch.empty_like(parts[rank], device=rows.device)
            dist.recv(part, rank)
            parts[rank].copy_(part)
        return whole

    def check_same(self, own: Sequence[int], what: str) -> None:
        """Refuse to go on where members differ.

        Raises:
            TrainingError: ``own`` is not the same everywhere; ``what`` says what it is about.
        """
        everyone = self.numbers(own)
        if any(numbers != everyone[0] for numbers in everyone):
            raise TrainingError(f"the {self.size} workers do not agree on {what}: {everyone}")


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Consecutive tensors of one type with :data:`BUCKET_BYTES` or little more in all."""
    buckets: list[list[Tensor]] = []
    room = 0
    for tensor in tensors:
        num_bytes = tensor.numel() * tensor.element_size()
        if room < num_bytes or buckets[-1][0].dtype != tensor.dtype:
            buckets.append([])
            room = BUCKET_BYTES
        buckets[-1].append(tensor)
        room -= num_bytes
    return buckets
