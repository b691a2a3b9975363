"""The HTTP side of S3: no request lasts for ever."""

import asyncio
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import ReadTimeoutError

REQUEST_S = 30.0
SLOWEST_BYTES_S = 0.5e6
"""A request may take ``REQUEST_S`` and, on top, as long as its body needs at this speed."""
LARGE_BYTES = 1 << 20
_DECODED = "X-Amz-Decoded-Content-Length"


class Session(AIOHTTPSession):
    """Gives up requests that get no answer.

    The timeouts of the client begin when the body is sent, and neither a server that never says to
    go on nor one that stops reading lets it come to that.
    """

    async def send(self, request: Any) -> Any:
        """The answer to a request."""
        size = _num_bytes(request)
        if size < LARGE_BYTES:
            request.headers.pop("Expect", None)  # to ask first takes longer than to send
        try:
            async with asyncio.timeout(REQUEST_S + size / SLOWEST_BYTES_S):
                return await super().send(request)
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error


def _num_bytes(request: Any) -> int:
    """Size of the body of a request."""
    stated = request.headers.get("Content-Length") or request.headers.get(_DECODED)
    return int(stated or len(request.body or b""))
