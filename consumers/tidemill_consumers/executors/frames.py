"""Frames between a worker and its child processes, on a socket pair: a msgpack map, and bytes that stay as they are.

Arguments and results travel beside the map: they may be as large as the application allows, the map is small.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, Final, NamedTuple, cast

from tidemill.errors import CorruptRecord
from tidemill.wire import envelope

_LENGTHS: Final = struct.Struct("!II")


class Frame(NamedTuple):
    message: dict[str, Any]
    payload: bytes


class Channel:
    """One end. Frames may be sent by several threads."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()

    def send(self, message: dict[str, object], payload: bytes = b"") -> None:
        """Raises OSError when the other side is gone, InvalidInput for a map that is too large."""
        data = envelope.pack(message)
        with self._sending:
            self._end.sendall(_LENGTHS.pack(len(data), len(payload)) + data + payload)

    def receive(self, timeout_seconds: float | None = None) -> Frame | None:
        """The next frame; None when the other side is gone, too slow, or sent what is no frame."""
        with contextlib.suppress(OSError, EOFError, CorruptRecord):
            self._end.settimeout(timeout_seconds)
            length, payload_length = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
            message = envelope.unpack(self._exactly(length))
            payload = self._exactly(payload_length)
            if isinstance(message, dict):
                return Frame(cast(dict[str, Any], message), payload)
        return None

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._end.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def close(self) -> None:
        self._end.close()
