"""Which commands reach a server: those of clients, not what scripts call."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from servers import Server

_PATIENCE_SECONDS: Final = 60.0
_END: Final = "the end of what is to be seen"


@contextmanager
def commands_seen(server: Server) -> Generator[list[str]]:
    """MONITOR's lines of what is sent within the block. The list is filled when the block is left."""
    lines: list[str] = []
    with _monitor(server) as monitor:
        yield lines
        server.client.echo(_END)
        found = b""
        while _END.encode() not in found:
            found += monitor.recv(65_536)
    lines += [line for line in _of_clients(found) if _END not in line]


def commands_during(server: Server, seconds: float) -> list[str]:
    """MONITOR's lines of so many seconds from now."""
    found = b""
    with _monitor(server) as monitor:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            monitor.settimeout(left)
            try:
                found += monitor.recv(65_536)
            except TimeoutError:
                break
    return _of_clients(found)


@contextmanager
def _monitor(server: Server) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(_PATIENCE_SECONDS)
        monitor.connect(str(server.directory / "s"))
        monitor.sendall(b"MONITOR\r\n")
        answer = b""
        while len(answer) < len(b"+OK\r\n"):  # and nothing behind it, which would be the first line
            answer += monitor.recv(len(b"+OK\r\n") - len(answer))
        assert answer == b"+OK\r\n"
        yield monitor


def _of_clients(found: bytes) -> list[str]:
    return [line for line in found.decode(errors="replace").splitlines() if " lua]" not in line]
