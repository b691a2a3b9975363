"""HTTP/1.1 on a socket, byte by byte as it is sent: heads are parsed, bodies only cut."""

import contextlib
import socket
import struct

BLOCK = 1 << 18
HEAD_BYTES = 1 << 16


class Gone(Exception):
    """One of the two sides has closed its connection."""


class Head:
    """First line and headers of a request or an answer."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.line, *lines = raw.rstrip(b"\r\n").split(b"\r\n")
        pairs = (line.partition(b":")[::2] for line in lines)
        fields = {name.strip().lower(): value.strip().lower() for name, value in pairs}
        self.is_answer = self.line.startswith(b"HTTP/")
        self.method = b"" if self.is_answer else self.line.split()[0]
        self.status = int(self.line.split()[1]) if self.is_answer else 0
        self.chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        self.length = int(fields[b"content-length"]) if b"content-length" in fields else None
        self.closes = fields.get(b"connection") == b"close"
        self.expects = fields.get(b"expect") == b"100-continue"
        self.has_body = self.status >= 200 and self.status not in (204, 304)
        self.until_close = self.is_answer and not self.chunked and self.length is None


class Side:
    """A socket to a client or to the server."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._file = sock.makefile("rb", BLOCK)
        self.send = sock.sendall

    def close(self) -> None:
        """Close; what was sent still arrives."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._socket.close()

    def reset(self) -> None:
        """Close so that the other side sees an error at once, as when a server dies."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._file.close()
        self._socket.close()

    def head(self) -> Head | None:
        """The next head; None if the other side is through."""
        raw = b""
        while not raw.endswith(b"\r\n\r\n"):
            line = self._file.readline(HEAD_BYTES)
            if not line:
                if raw:
                    raise Gone
                return None
            raw += line
        return Head(raw)

    def answer(self) -> Head:
        """The next head, which must come."""
        head = self.head()
        if head is None:
            raise Gone
        return head

    def body(self, head: Head):
        """The bytes after a head, in pieces, as they were sent."""
        if head.chunked:
            yield from self._chunks()
        elif head.length is not None:
            yield from self._pieces(head.length)
        elif head.until_close:
            while piece := self._file.read1(BLOCK):
                yield piece

    def _pieces(self, length: int):
        while length:
            piece = self._file.read1(min(BLOCK, length))
            if not piece:
                raise Gone
            length -= len(piece)
            yield piece

    def _chunks(self):
        size = -1
        while size:
            line = self._file.readline(HEAD_BYTES)
            if not line:
                raise Gone
            yield line
            size = int(line.split(b";")[0], 16)
            yield from self._pieces(size)
            if size:
                yield self._file.readline(HEAD_BYTES)
        line = b""
        while line != b"\r\n":
            line = self._file.readline(HEAD_BYTES) or b"\r\n"
            yield line
