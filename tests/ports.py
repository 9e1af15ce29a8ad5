"""Ports for servers of tests.

Below those that the system gives to outgoing connections (from 32768 on, on Linux): a client that tries again and
again while its server is away could be given the server's own port, be connected to itself, and keep the server out.
"""

from __future__ import annotations

import secrets
import socket
from typing import Final

_FIRST: Final = 10_000
_BEHIND_LAST: Final = 22_000
# A cluster node also listens on its port + 10,000.
_TO_BUS: Final = 10_000


def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, nor on the one that a cluster's node would take beside it."""
    while True:
        port = _FIRST + secrets.randbelow(_BEHIND_LAST - _FIRST)  # tests of all processes share one random seed
        if _is_free(port) and _is_free(port + _TO_BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
