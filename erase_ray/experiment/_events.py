"""Event streams of a run: every writer has files of its own, so nobody waits for anybody."""

import json
from typing import Any

from erase_ray.experiment._commit import to_json_lines
from erase_ray.experiment.blobs import Blobs

CHUNK_BYTES = 65_536
"""An object store has no append: the newest file is written anew, up to this size."""


class EventStream:
    """Appends events to ``<stem>.jsonl``, then ``<stem>-1.jsonl`` and so on.

    A stream opened later under the same name goes on in a new file.

    Args:
        blobs: The storage.
        stem: Folder of the run's events and name of the writer; nobody else may use it meanwhile.
    """

    def __init__(self, blobs: Blobs, stem: str) -> None:
        self._blobs = blobs
        self._stem = stem
        self._chunk = 0
        self._size = 0
        while blobs.exists(self._name()):
            self._chunk += 1

    def append(self, event: dict[str, Any]) -> None:
        """Add one event; it is stored when this returns."""
        line = to_json_lines([event])
        if self._size and self._size + len(line) > CHUNK_BYTES:
            self._chunk, self._size = self._chunk + 1, 0
        self._blobs.append(self._name(), line)
        self._size += len(line)

    def _name(self) -> str:
        return f"{self._stem}{f'-{self._chunk}' if self._chunk else ''}.jsonl"


def read_events(blobs: Blobs, folder: str) -> list[dict[str, Any]]:
    """All events, file by file; a line that a killed writer left unfinished is passed over."""
    texts = [(blobs.read(name) or b"").decode() for name in blobs.names(folder)]
    lines = (line for text in texts for line in text.splitlines(keepends=True))
    return [json.loads(line) for line in lines if line.endswith("\n")]
