"""A service on this machine that takes announcements, and that is late: at first its port refuses connections.

It keeps a journal of what it was told, and says in a file at which port it is: so it can be killed and come back.
"""

from __future__ import annotations

import json
import socketserver
import threading
from pathlib import Path
from typing import Final

JOURNAL_NAME: Final = "announced"
ADDRESS_NAME: Final = "catalog"


class Catalog(socketserver.ThreadingTCPServer):
    """The port is bound at once, so nobody else gets it, and listened to from `open` on.

    place: the folder of its files. goes_on: it was told some announcements before; else its journal is begun anew.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, place: Path, *, goes_on: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Announcement, bind_and_activate=False)
        self.server_bind()
        self._journal = place / JOURNAL_NAME
        if not goes_on:
            self._journal.unlink(missing_ok=True)
        self.address = place / ADDRESS_NAME
        written = place / f"{ADDRESS_NAME}.new"
        written.write_text(str(self.server_address[1]), encoding="ascii")
        written.replace(self.address)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def announced(self) -> dict[str, str]:
        """The hash of each folder. A line that a kill has cut off got no receipt, and comes again."""
        if not self._journal.exists():
            return {}
        lines = self._journal.read_text(encoding="utf-8").splitlines(keepends=True)
        return dict(json.loads(line) for line in lines if line.endswith("]\n"))

    def note(self, folder: str, sha256: str) -> None:
        with self._lock, self._journal.open("a", encoding="utf-8") as journal:
            journal.write(f"\n{json.dumps([folder, sha256])}\n")

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
        line = self.rfile.readline()
        if not line.endswith(b"\n"):  # whoever announced it was killed
            return
        folder, sha256 = json.loads(line)
        self.server.note(folder, sha256)
        self.wfile.write(f"{sha256[:12]} noted\n".encode())
