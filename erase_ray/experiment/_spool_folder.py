"""The folder of this process for files on their way to the storage, and what dead ones left.

A process holds a lock on a file in its folder for as long as it lives, however it ends. So a folder
whose lock is free belongs to nobody: this needs no process numbers, which mean nothing from one
container to the next.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path

from erase_ray.errors import StoreError

PLACE = "ERASE_RAY_SPOOL"
"""Environment variable with the folder that holds those of all processes."""
_LOCK = "lock"
_OLD_S = 3600.0

ending = threading.Event()
"""Set when this process ends, and what is in its folder with it."""

_own: dict[int, Path] = {}
_own_lock = threading.Lock()


def new_path() -> Path:
    """A path for one more file, in the folder of this process.

    Raises:
        StoreError: The folder cannot be made.
    """
    with _own_lock:
        pid = os.getpid()  # a fork has a folder of its own
        if pid not in _own:
            _own[pid] = _made()
            atexit.register(_remove, pid, _own[pid])
    return _own[pid] / uuid.uuid4().hex


def base() -> Path:
    """Where the folders of all processes are."""
    place = os.environ.get(PLACE)
    return Path(place) if place else Path(tempfile.gettempdir()) / f"erase_ray-spool-{os.getuid()}"


def _made() -> Path:
    folder = base()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear(folder)
        # under a hidden name until it is locked
        fresh, final = folder / f".{uuid.uuid4().hex}", folder / uuid.uuid4().hex
        fresh.mkdir(mode=0o700)
        _lock(fresh)
        return fresh.rename(final)
    except OSError as error:
        raise StoreError(
            f"cannot make the spool folder {folder}: {error}. Set {PLACE} to a folder with room"
        ) from error


def _lock(folder: Path) -> bool:
    """Hold the lock of a folder until this process ends; False if another holds it."""
    import fcntl

    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks
        os.close(handle)
        return False
    return True


def _clear(folder: Path) -> None:
    """Delete the folders of processes that are no more."""
    with contextlib.suppress(OSError):
        for each in list(folder.iterdir()):
            with contextlib.suppress(OSError):
                if _is_left(each):
                    shutil.rmtree(each, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    if folder.name.startswith(".") or not (folder / _LOCK).exists():
        return time.time() - folder.stat().st_mtime > _OLD_S
    import fcntl

    handle = os.open(folder / _LOCK, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove(pid: int, folder: Path) -> None:
    if pid == os.getpid():
        ending.set()
        shutil.rmtree(folder, ignore_errors=True)
