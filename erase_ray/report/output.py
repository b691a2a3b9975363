"""Write a file to a local folder or to any address that fsspec knows."""

import os
import uuid

import fsspec

from erase_ray.errors import StoreError
from erase_ray.experiment._address import public_address, without_secrets


def write_file(folder: str, name: str, data: bytes) -> str:
    """Put ``data`` into ``folder`` and return the address of the file, without secrets.

    A local file appears whole or not at all.

    Raises:
        StoreError: The folder cannot be made or written.
    """
    try:
        system, path = fsspec.url_to_fs(folder)
        target = f"{path.rstrip('/')}/{name}"
        system.makedirs(path, exist_ok=True)
        if "file" in _protocols(system):
            _replace(target, data)
            return target
        system.pipe_file(target, data)
    except (OSError, ValueError, ImportError) as error:
        reason = without_secrets(str(error))
        raise StoreError(
            f"cannot write '{name}' to '{public_address(folder)}': {reason}"
        ) from error
    return f"{public_address(folder).rstrip('/')}/{name}"


def _protocols(system: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    names = system.protocol
    return (names,) if isinstance(names, str) else tuple(names)


def _replace(target: str, data: bytes) -> None:
    draft = f"{target}.{uuid.uuid4().hex}"
    try:
        with open(draft, "wb") as file:
            file.write(data)
        os.replace(draft, target)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
