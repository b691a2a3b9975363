"""What a file may make the reader spend."""

from dataclasses import dataclass, field

from erase_ray.imports.errors import ForeignFileError


@dataclass(frozen=True)
class Limits:
    """Bounds far above what checkpoints need and far below what hurts."""

    operations: int = 20_000_000
    """Most instructions of a pickle; an object takes about one."""
    pickle_bytes: int = 1 << 30
    """Largest pickle, storages of tensors not counted."""
    depth: int = 64
    """Most containers inside one another."""
    unfolding: int = 100
    """How many times larger than what is stored the value may be with shared parts counted each
    time (what a walk over it meets)."""
    integer_bits: int = 1024
    """Longest integer."""
    slack_bytes: int = 1 << 26
    """What rebuilding may take beside 16 times the size of the pickle."""


@dataclass
class Budget:
    """Bytes that rebuilding objects may still take, storages not counted.

    A pickle can ask for the same object to be made from the same part again and again; without a
    bound a small file could fill the memory.
    """

    name: str
    left: int
    nested: bool = field(default=False)
    """Inside a file that lies in a file; there is no third level."""

    def charge(self, num_bytes: int) -> None:
        """Spend some.

        Raises:
            ForeignFileError: Nothing is left.
        """
        self.left -= num_bytes
        if self.left < 0:
            raise ForeignFileError(
                f"{self.name} would grow to many times its size when it is read; it is not a file "
                "of weights or lists"
            )
