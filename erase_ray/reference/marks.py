"""A chain whose marks are those of the published runs."""

from dataclasses import fields
from functools import cached_property

from erase_ray.scenarios import Chain


class ReferenceChain(Chain):
    """A mark is reached after the request whose index is n/4, n/2, 3n/4 (rounded down), n-1."""

    @classmethod
    def of(cls, chain: Chain) -> "ReferenceChain":
        """The same chain with these marks; its requests are one wish each."""
        assert all(request.num_wishes == 1 for request in chain.requests)
        return cls(**{field.name: getattr(chain, field.name) for field in fields(chain)})

    @cached_property
    def marks(self) -> tuple[int, ...]:
        """Requests served at mark 1, 2, 3 and 4."""
        num = len(self.requests)
        return (*(num * quarter // 4 + 1 for quarter in (1, 2, 3)), num)
