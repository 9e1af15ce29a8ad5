"""A service on this machine that takes announcements, and that is late: at first its port refuses connections."""

from __future__ import annotations

import json
import socketserver
import threading


class Catalog(socketserver.ThreadingTCPServer):
    """The port is bound at once, so nobody else gets it, and listened to from `open` on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Announcement, bind_and_activate=False)
        self.server_bind()
        self.announced: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def open(self) -> None:
        """From now on, connections are taken. May be called again."""
        if self._thread is None:
            self.server_activate()
            self._thread = threading.Thread(target=self.serve_forever, name="tidemill-demo-catalog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self.shutdown()
        self.server_close()


class _Announcement(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Catalog)
        folder, sha256 = json.loads(self.rfile.readline())
        self.server.announced[folder] = sha256
        self.wfile.write(f"{sha256[:12]} noted\n".encode())
