"""A TCP proxy in front of a test's server, which can lose replies after the server has applied the request."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from servers import Server


class Proxy:
    """Passes bytes both ways. `lose_replies(n)` drops the next n replies to requests that hold `marker`, and closes
    their connections; all requests reach the server. `requests` counts those that held the marker.
    """

    def __init__(self, server: Server, marker: bytes = b"EVALSHA") -> None:
        self._server = server
        self._marker = marker
        self._to_lose = 0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.requests = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_replies(self, count: int) -> None:
        with self._lock:
            self._to_lose = count

    def cut(self) -> None:
        """Breaks every connection."""
        with self._lock:
            for found in self._sockets:
                _shut(found)

    def close(self) -> None:
        _shut(self._listener)
        self._listener.close()
        self.cut()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(Path(self._server.directory) / "s"))
            with self._lock:
                self._sockets |= {client, upstream}
                self.connections += 1
            replies = _Replies(upstream, client)
            replies.start()
            with contextlib.suppress(OSError):
                while request := client.recv(65536):
                    if self._is_to_be_lost(request):
                        replies.lose()
                    upstream.sendall(request)
            _shut(upstream)
            replies.join(5)
            with self._lock:
                self._sockets -= {client, upstream}

    def _is_to_be_lost(self, request: bytes) -> bool:
        with self._lock:
            if self._marker not in request:
                return False
            self.requests += 1
            self._to_lose -= 1
            return self._to_lose >= 0


class _Replies(threading.Thread):
    """Server to client; after `lose` the next reply ends the connection instead."""

    def __init__(self, upstream: socket.socket, client: socket.socket) -> None:
        super().__init__(daemon=True)
        self._upstream, self._client = upstream, client
        self._losing = threading.Event()

    def lose(self) -> None:
        self._losing.set()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while reply := self._upstream.recv(65536):
                if self._losing.is_set():
                    break
                self._client.sendall(reply)
        _shut(self._client)


def _shut(found: socket.socket) -> None:
    with contextlib.suppress(OSError):
        found.shutdown(socket.SHUT_RDWR)
