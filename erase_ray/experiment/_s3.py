"""How we talk to S3 and servers like it; keys are left to the environment, a profile or a role."""

import os
from typing import Any

from fsspec.asyn import sync

from erase_ray.errors import StoreError

PART_BYTES = 32 << 20
"""Files of two parts and more are sent in parts, several at a time."""
MAX_PARTS = 10_000
PARALLEL_PARTS = 8
REQUEST_TRIES = 3
"""Of a single request, within a second or two; see ``_retry.py`` for outages."""
STYLES = ("auto", "path", "virtual")


def options() -> dict[str, Any]:
    """Options of the file system.

    ``ERASE_RAY_S3_ADDRESSING`` is ``path`` (``server/bucket/name``), ``virtual``
    (``bucket.server/name``) or ``auto``; without it the AWS configuration file decides.

    Raises:
        StoreError: It is something else.
    """
    config: dict[str, Any] = {
        "retries": {"total_max_attempts": REQUEST_TRIES, "mode": "standard"},
        "max_pool_connections": 32,
    }
    style = os.environ.get("ERASE_RAY_S3_ADDRESSING", "")
    if style and style not in STYLES:
        raise StoreError(
            f"ERASE_RAY_S3_ADDRESSING is '{style}'; expected one of {', '.join(STYLES)}"
        )
    if session := _session():
        config["http_session_cls"] = session
    if style:
        config["s3"] = {"addressing_style": style}
    found = {"config_kwargs": config, "max_concurrency": PARALLEL_PARTS}
    # said here, or a file system would be used again that was made for another server
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return found | ({"endpoint_url": endpoint} if endpoint else {})


def _session() -> type | None:
    """Our HTTP session, where this version of the client can be given one."""
    import inspect

    from aiobotocore.config import AioConfig  # slow to load, and only S3 needs it

    if "http_session_cls" not in inspect.signature(AioConfig.__init__).parameters:
        return None
    from erase_ray.experiment._s3_session import Session

    return Session


def tuned(fs: Any) -> Any:
    """The file system without the retries of s3fs, which would multiply with those around it."""
    fs.retries = 1
    return fs


def part_options(size: int) -> dict[str, int]:
    """How a file of ``size`` bytes is put."""
    return {"chunksize": max(PART_BYTES, -(-size // MAX_PARTS))}


def size(fs: Any, path: str) -> int:
    """Size of a file in one request; ``fs.info`` lists the folder too if it is not there."""
    bucket, key, _ = fs.split_path(path)
    return fs.call_s3("head_object", Bucket=bucket, Key=key)["ContentLength"]


def read(fs: Any, path: str) -> bytes:
    """A file in one request; ``fs.cat_file`` asks for its size first."""
    bucket, key, _ = fs.split_path(path)
    data: Any = sync(fs.loop, _body, fs, bucket, key)
    return data


async def _body(fs: Any, bucket: str, key: str) -> bytes:
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key)
    async with answer["Body"] as body:
        return await body.read()
