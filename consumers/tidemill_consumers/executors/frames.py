"""Frames between a worker and its child processes, on a socket pair: a msgpack map, and bytes that stay as they are.

Arguments and results travel beside the map: they may be as large as the application allows, the map is small. An empty
map takes no bytes.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast

from tidemill.errors import CorruptRecord
from tidemill.wire import envelope

_LENGTHS: Final = struct.Struct("!II")
# Of one read. One that is not full has emptied the socket.
_READ_BYTES: Final = 1 << 16


class Frame(NamedTuple):
    message: dict[str, Any]
    payload: bytes


def encode(message: dict[str, object], payload: bytes = b"") -> bytes:
    """Raises InvalidInput for a map that is too large."""
    data = envelope.pack(message) if message else b""
    return _LENGTHS.pack(len(data), len(payload)) + data + payload


class _Reader:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a frame that is larger than a read
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises CorruptRecord."""
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return []
        data = b"".join(self._parts)
        frames: list[Frame] = []
        at = 0
        self._missing = 0
        while len(data) - at >= _LENGTHS.size:
            length, payload_length = _LENGTHS.unpack_from(data, at)
            middle = at + _LENGTHS.size + length
            end = middle + payload_length
            if end > len(data):
                self._missing = end - len(data)
                break
            frames.append(Frame(_message(data[at + _LENGTHS.size : middle]), data[middle:end]))
            at = end
        self._parts = [data[at:]]
        return frames


def _message(data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    message = envelope.unpack(data)
    if not isinstance(message, dict):
        raise CorruptRecord("a frame's message is a map")
    return cast(dict[str, Any], message)


class Channel:
    """One end. Frames may be sent by several threads, and read by one."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()
        self._reader = _Reader()
        self._frames: deque[Frame] = deque()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """For selectors; -1 when it is closed."""
        return self._end.fileno()

    def send(self, message: dict[str, object], payload: bytes = b"") -> None:
        """Raises OSError when the other side is gone, InvalidInput for a map that is too large."""
        data = encode(message, payload)
        with self._sending:
            self._end.sendall(data)

    def receive(self, timeout_seconds: float | None = None) -> Frame | None:
        """The next frame; None when the other side is gone, too slow, or sent what is no frame."""
        if not self._frames:
            try:
                self._end.settimeout(timeout_seconds)
                while not self._frames:
                    data = self._end.recv(_READ_BYTES)
                    if not data:
                        return None
                    self._frames.extend(self._reader.feed(data))
            except (OSError, CorruptRecord):
                return None
        return self._frames.popleft()

    def send_soon(self, frames: Iterable[bytes]) -> bool:
        """Sends what there is room for now. False: there is a rest, to be sent by another call, of no frames even.

        Raises OSError when the other side is gone.
        """
        self._unsent += b"".join(frames)
        while self._unsent:
            try:
                del self._unsent[: self._end.send(self._unsent, socket.MSG_DONTWAIT)]
            except BlockingIOError:
                return False
        return True

    def receive_all(self) -> tuple[list[Frame], bool]:
        """All frames that have arrived, and whether the other side is still there and sends frames."""
        frames: list[Frame] = []
        try:
            while True:
                data = self._end.recv(_READ_BYTES, socket.MSG_DONTWAIT)
                frames += self._reader.feed(data)
                if len(data) < _READ_BYTES:
                    return frames, bool(data)
        except BlockingIOError:
            return frames, True
        except (OSError, CorruptRecord):
            return frames, False

    def close(self) -> None:
        self._end.close()
