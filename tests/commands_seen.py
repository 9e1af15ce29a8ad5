"""Which commands reach a server: those of clients, not what scripts call."""

from __future__ import annotations

import socket
import time

from servers import Server


def commands_during(server: Server, seconds: float) -> list[str]:
    """MONITOR's lines of so many seconds from now."""
    found = b""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(server.directory / "s"))
        monitor.sendall(b"MONITOR\r\n")
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            monitor.settimeout(left)
            try:
                found += monitor.recv(65_536)
            except TimeoutError:
                break
    lines = found.decode(errors="replace").splitlines()
    assert lines[0] == "+OK"
    return [line for line in lines[1:] if " lua]" not in line]
