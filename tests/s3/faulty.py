"""A proxy in front of an S3 server that does to requests what networks and servers do.

    with FaultyProxy("http://127.0.0.1:8333") as proxy:   # point AWS_ENDPOINT_URL at proxy.url
        proxy.faults.append(Fault("drop_reply", method="PUT", path=r"manifest\\.json"))

Bytes are forwarded as they come, headers included, so signatures stay valid. Each connection of a
client has a thread, and each request a connection of its own to the server.
"""

import argparse
import contextlib
import json
import random
import re
import socket
import socketserver
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from wire import Gone, Head, Side

KINDS = ("status", "forbid", "slow", "trickle", "drop_request", "drop_reply", "cut_reply")
TRICKLES = 20
ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    "<Message>made by the proxy</Message><Resource>{path}</Resource>"
    "<RequestId>FAULTY</RequestId></Error>"
)


@dataclass
class Fault:
    """What happens to the requests that match, a number of times.

    Args:
        kind: ``status``: answered with ``status`` and ``code``, not forwarded. ``forbid``: the
            same with 403 and AccessDenied. ``slow``: forwarded after ``seconds``. ``trickle``: the
            body of the answer takes ``seconds``. ``drop_request``: the connection is closed and
            nothing forwarded. ``drop_reply``: forwarded, and closed without the answer.
            ``cut_reply``: closed after half of the body of the answer.
        times: How often.
        method: Only requests of this method.
        path: Only requests with this pattern in path or query.
        skip: Matching requests that pass before.
        status: Of ``status``.
        code: Of ``status`` and ``forbid``, by S3's names.
        seconds: Of ``slow`` and ``trickle``.
    """

    kind: str
    times: int = 1
    method: str | None = None
    path: str | None = None
    skip: int = 0
    status: int = 503
    code: str = ""
    seconds: float = 2.0

    def __post_init__(self) -> None:
        """Fill in what follows from the kind."""
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; known: {', '.join(KINDS)}")
        if self.kind == "forbid":
            self.status = 403
        self.code = self.code or ("AccessDenied" if self.status == 403 else "SlowDown")

    def strikes(self, method: str, path: str) -> bool:
        """Whether it happens to this request; counts."""
        if self.times < 1 or not self._is_for(method, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True

    def _is_for(self, method: str, path: str) -> bool:
        return self.method in (None, method) and bool(re.search(self.path or "", path))


@dataclass
class Chance(Fault):
    """A fault that happens to each matching request with a probability.

    ``times`` bounds it; draws follow ``seed`` in the order in which requests come.
    """

    times: int = sys.maxsize
    probability: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Fill in what follows from the kind, and begin to draw."""
        super().__post_init__()
        self._random = random.Random(self.seed)

    def strikes(self, method: str, path: str) -> bool:
        """Whether it happens to this request."""
        if not self._is_for(method, path) or self._random.random() >= self.probability:
            return False
        return super().strikes(method, path)


@dataclass
class Seen:
    """A request that came.

    Args:
        method: Such as PUT.
        path: Path and query as in the request.
        status: What the client was told; 0 for nothing.
        fault: Kind of what happened to it, if anything.
        told: Status with which the server answered; 0 if it was not asked.
    """

    method: str
    path: str
    status: int = 0
    fault: str = ""
    told: int = 0
    time: float = field(default_factory=time.monotonic)


class FaultyProxy:
    """Forwards HTTP to ``upstream`` inside the ``with`` statement, on a free port of loopback.

    Args:
        upstream: Such as ``http://127.0.0.1:8333``.
        faults: What goes wrong; the list may be changed at any time.
        port: Where to listen; a free one by default.
    """

    def __init__(self, upstream: str, faults: list[Fault] | None = None, port: int = 0) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname, parts.port or 80)
        self.faults = [] if faults is None else faults
        self.log: list[Seen] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    def struck(self, kind: str = "") -> list[Seen]:
        """Requests to which something (of this kind) happened."""
        return [seen for seen in list(self.log) if seen.fault and kind in ("", seen.fault)]

    def meet(self, method: str, path: str) -> tuple[Seen, Fault | None]:
        """Note a request, and choose what happens to it."""
        seen = Seen(method, path)
        with self._lock:
            fault = next((each for each in self.faults if each.strikes(method, path)), None)
            seen.fault = fault.kind if fault else ""
            self.log.append(seen)
        return seen, fault


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultyProxy

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client in a thread, and know it until then."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A client is through."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what clients keep open."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a client or the server has gone."""
        if not isinstance(sys.exc_info()[1], (Gone, OSError)):
            super().handle_error(request, client_address)


class _Connection(socketserver.BaseRequestHandler):
    """One connection of a client, for as many requests as it makes."""

    def handle(self) -> None:
        with contextlib.closing(Side(self.request)) as client:
            self._serve(self.server.proxy, client)

    def _serve(self, proxy: FaultyProxy, client: Side) -> None:
        while (head := client.head()) and not proxy.over.is_set():
            method, path = head.line.split()[:2]
            seen, fault = proxy.meet(method.decode(), path.decode())
            kind = fault.kind if fault else ""
            if kind == "drop_request":
                client.reset()
                return
            if kind in ("status", "forbid"):
                _refuse(client, head, seen, fault)
                if head.expects:
                    return
                continue
            if kind == "slow":
                proxy.over.wait(fault.seconds)
            with contextlib.closing(Side(socket.create_connection(proxy.upstream))) as server:
                goes_on = _Exchange(client, server, head, seen).run(fault, proxy.over)
            if kind in ("drop_reply", "cut_reply"):
                client.reset()
            if not goes_on:
                return


class _Exchange:
    """One request that is forwarded, and its answer."""

    def __init__(self, client: Side, server: Side, head: Head, seen: Seen) -> None:
        self.client, self.server, self.head, self.seen = client, server, head, seen

    def run(self, fault: Fault | None, over: threading.Event) -> bool:
        """True if the client's connection can serve another request."""
        kind = fault.kind if fault else ""
        self.server.send(self.head.raw)
        answer = self._ask()
        self.seen.told = answer.status
        has_body = self.head.method != b"HEAD" and answer.has_body
        pieces = self.server.body(answer) if has_body else iter(())
        if kind == "drop_reply":
            for _ in pieces:  # so that the server is through
                pass
            return False
        self.client.send(answer.raw)
        self.seen.status = answer.status
        if kind == "cut_reply":
            whole = b"".join(pieces)
            self.client.send(whole[: len(whole) // 2])
            return False
        if fault and kind == "trickle":
            pieces = _slowly(b"".join(pieces), fault.seconds, over)
        for piece in pieces:
            self.client.send(piece)
        return not (answer.until_close and has_body) and not answer.closes

    def _ask(self) -> Head:
        """Send the body; the head of the final answer."""
        if self.head.expects:
            answer = self.server.answer()
            if answer.status != 100:
                answer.closes = True  # the body was not sent
                return answer
            self.client.send(answer.raw)
        with contextlib.suppress(OSError):  # the server may have refused half-way
            for piece in self.client.body(self.head):
                self.server.send(piece)
        while (answer := self.server.answer()).status < 200:
            pass
        return answer


def _refuse(client: Side, head: Head, seen: Seen, fault: Fault) -> None:
    """Answer with an error of S3; a body that is on its way is thrown away."""
    if not head.expects:
        for _ in client.body(head):
            pass
    body = ERROR.format(code=fault.code, path=urlsplit(seen.path).path).encode()
    closing = "Connection: close\r\n" if head.expects else ""
    text = (
        f"HTTP/1.1 {fault.status} {fault.code}\r\nContent-Type: application/xml\r\n"
        f"x-amz-request-id: FAULTY\r\nContent-Length: {len(body)}\r\n{closing}\r\n"
    )
    client.send(text.encode() + (b"" if head.method == b"HEAD" else body))
    seen.status = fault.status


def _slowly(data: bytes, seconds: float, over: threading.Event):
    """The data in pieces, the last one ``seconds`` later."""
    step = -(-len(data) // TRICKLES) or 1
    for start in range(0, len(data), step):
        over.wait(seconds / TRICKLES)
        yield data[start : start + step]


def main() -> None:
    """Run until standard input ends; a line of JSON there replaces the faults.

    Such as ``[{"kind": "status", "times": 3}, {"kind": "slow", "probability": 0.1, "seed": 7}]``;
    each such line is answered with the number of requests to which something happened so far.
    """
    parser = argparse.ArgumentParser(description="An S3 proxy that makes faults.")
    parser.add_argument("upstream")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", default="[]", metavar="JSON")
    args = parser.parse_args()
    with FaultyProxy(args.upstream, parse(args.faults), args.port) as proxy:
        print(proxy.url, flush=True)
        for line in sys.stdin:
            proxy.faults[:] = parse(line)
            print(len(proxy.struck()), flush=True)


def parse(text: str) -> list[Fault]:
    """Faults from JSON."""
    return [(Chance if "probability" in each else Fault)(**each) for each in json.loads(text)]


if __name__ == "__main__":
    main()
