"""Folders and files outside of a store that are there as a whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from erase_ray.errors import StoreError


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A scratch folder beside ``target``, from which it can be renamed; gone after the block.

    Raises:
        StoreError: It, or what the block writes, cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from error


@contextmanager
def placed(folder: Path) -> Iterator[Path]:
    """A scratch folder that takes the name ``folder`` if the block ends well.

    Raises:
        StoreError: It cannot be written.
    """
    with scratch_beside(folder) as scratch:
        yield scratch
        scratch.chmod(0o755)
        scratch.rename(folder)
