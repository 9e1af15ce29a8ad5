"""Frames between a worker and its child processes: a length, then a msgpack map, on a socket pair."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final, cast

from tidemill.wire import envelope

_LENGTH: Final = struct.Struct("!I")


def send(channel: socket.socket, message: dict[str, object]) -> None:
    data = envelope.pack(message)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next frame; None when the other side is gone."""
    header = _exactly(channel, _LENGTH.size)
    if header is None:
        return None
    data = _exactly(channel, _LENGTH.unpack(header)[0])
    return None if data is None else cast(dict[str, Any], envelope.unpack(data))


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = channel.recv(count - len(parts))
        except (ConnectionError, OSError):
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)
