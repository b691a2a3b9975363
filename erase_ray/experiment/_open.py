"""From a storage address to its files."""

from typing import Any

from fsspec.core import url_to_fs

from erase_ray.errors import StoreError
from erase_ray.experiment._address import public_address, secrets_of
from erase_ray.experiment._local_blobs import LocalBlobs
from erase_ray.experiment.blobs import Blobs


def open_blobs(address: str, read_only: bool = False) -> Blobs:
    """The files at ``address``, after a look whether they can be read (and written).

    Raises:
        StoreError: The address has no back end, cannot be read, or cannot be written and
            ``read_only`` is False.
    """
    fs, root = _resolve(address)
    local = fs.protocol == "file" or "file" in fs.protocol
    blobs = (LocalBlobs if local else Blobs)(fs, root, root if local else address)
    if read_only:
        blobs.check_readable()
    else:
        blobs.check_writable()
    return blobs


def _resolve(address: str) -> tuple[Any, str]:
    shown = public_address(address)
    scheme = address.partition("://")[0] if "://" in address else "file"
    if scheme in ("s3", "s3a") and secrets_of(address):
        raise StoreError(
            f"{shown}: no keys inside an S3 address; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment"
        )
    try:
        # a cached listing would hide what other machines have just stored
        fs, root = url_to_fs(address, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        text = f"no back end for the storage address {shown}: {error}"
        raise StoreError(text) from (None if secrets_of(address) else error)
    if scheme != "file" and not root.strip("/") and scheme != "memory":
        raise StoreError(f"{shown} names no bucket; expected {scheme}://bucket/path")
    return fs, root
