"""From a storage address to its files."""

import weakref
from functools import partial
from typing import Any

from fsspec.core import url_to_fs

from erase_ray.errors import StoreError
from erase_ray.experiment import _retry, _s3, _spool
from erase_ray.experiment._address import public_address, secrets_of
from erase_ray.experiment._local_blobs import LocalBlobs
from erase_ray.experiment._spooled_blobs import SpooledBlobs
from erase_ray.experiment.blobs import Blobs

# what the write test found, by address, for as long as the same connection is used
_tested: dict[str, tuple[weakref.ref[Any], bool]] = {}


def open_blobs(address: str, read_only: bool = False) -> Blobs:
    """The files at ``address``, after a look whether they can be read (and written).

    A process tests once whether it can write there. Large files go to a remote storage through a
    local spool, see ``_spool.py``.

    Raises:
        StoreError: The address has no back end, cannot be read, or cannot be written and
            ``read_only`` is False.
    """
    fs, root = _resolve(address)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if "file" in protocols:
        blobs = LocalBlobs(fs, root, root)
    else:
        blobs = Blobs(fs, root, address, partial(_reopen, address))
    _test(blobs, address, read_only)
    remote = not protocols & {"file", "memory"}
    return SpooledBlobs(blobs) if remote and _spool.LIMIT_BYTES else blobs


def _test(blobs: Blobs, address: str, read_only: bool) -> None:
    connection = blobs.connection
    known = _tested.get(address)
    found = known[1] if known and known[0]() is connection.fs else None
    patience_s = connection.patience_s
    connection.patience_s = min(patience_s, _retry.OPENING_S)
    if read_only:
        blobs.check_readable()
    else:
        blobs.check_writable(found)
        if not isinstance(blobs, LocalBlobs):
            _tested[address] = (weakref.ref(connection.fs), blobs.conditional)
    connection.patience_s = patience_s


def _reopen(address: str) -> Any:
    """The file system with the keys of now; the old one must not come out of the cache again."""
    fs, _ = _resolve(address)
    type(fs).clear_instance_cache()
    return _resolve(address)[0]


def _resolve(address: str) -> tuple[Any, str]:
    shown = public_address(address)
    scheme = address.partition("://")[0] if "://" in address else "file"
    on_s3 = scheme in ("s3", "s3a")
    if on_s3 and secrets_of(address):
        raise StoreError(
            f"{shown}: no keys inside an S3 address; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment"
        )
    try:
        # a cached listing would hide what other machines have just stored
        options = {"use_listings_cache": False} | (_s3.options() if on_s3 else {})
        fs, root = url_to_fs(address, **options)
    except (ValueError, ImportError) as error:
        text = f"no back end for the storage address {shown}: {error}"
        raise StoreError(text) from (None if secrets_of(address) else error)
    if scheme != "file" and not root.strip("/") and scheme != "memory":
        raise StoreError(f"{shown} names no bucket; expected {scheme}://bucket/path")
    return _s3.tuned(fs) if on_s3 else fs, root
