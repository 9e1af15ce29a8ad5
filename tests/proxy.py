"""A TCP proxy in front of a test's server: it loses replies, breaks connections, or lets them fall silent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from servers import Server


class Proxy:
    """Passes bytes both ways. `marker` tells the requests that a fault is meant for; another can be set meanwhile.

    `requests` counts those that held the marker, `connections` those that were accepted.
    """

    def __init__(self, server: Server, marker: bytes = b"EVALSHA") -> None:
        self.marker = marker
        self.requests = 0
        self.connections = 0
        self._path = str(Path(server.directory) / "s")
        self._to_lose = 0
        self._cut_at: int | None = None
        self._swallows_all = False
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_replies(self, count: int) -> None:
        """The next replies to requests that hold the marker are lost, and their connections closed; the requests
        reach the server."""
        with self._lock:
            self._to_lose = count

    def cut_request(self, position: int) -> None:
        """Of the next request that holds the marker only so many bytes reach the server; then its connection breaks."""
        with self._lock:
            self._cut_at = position

    def cut(self) -> None:
        """Breaks every connection."""
        with self._lock:
            for found in self._open:
                found.shut()

    def silence(self, *words: bytes) -> int:
        """Connections whose last request held all the words fall silent for ever: they stay open, but nothing comes
        through. Returns how many."""
        with self._lock:
            chosen = [found for found in self._open if all(word in found.last_request for word in words)]
            for found in chosen:
                found.is_silent = True
        return len(chosen)

    def swallow(self) -> None:
        """Every connection falls silent for ever, those too that are made before `heal`."""
        self._swallows_all = True
        self.silence()

    def heal(self) -> None:
        """New connections work again."""
        self._swallows_all = False

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
            upstream.connect(self._path)
            connection = _Connection(client, upstream, self._meet)
            with self._lock:
                connection.is_silent = self._swallows_all
                self._open.add(connection)
                self.connections += 1
            try:
                connection.serve()
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _meet(self, connection: _Connection, request: bytes) -> bytes:
        """What of a request is to reach the server. It is counted, and the faults that wait for it happen."""
        with self._lock:
            if self.marker not in request:
                return request
            self.requests += 1
            if self._to_lose:
                self._to_lose -= 1
                connection.loses_reply = True
            if self._cut_at is not None:
                request, self._cut_at = request[: self._cut_at], None
                connection.is_cut = True
            return request


class _Connection:
    """One client's connection, and ours to the server for it."""

    def __init__(
        self, client: socket.socket, upstream: socket.socket, meet: Callable[[_Connection, bytes], bytes]
    ) -> None:
        self._client, self._upstream, self._meet = client, upstream, meet
        self._answers = threading.Thread(target=self._pass_answers, daemon=True)
        self.last_request = b""
        self.is_silent = False
        self.is_cut = False
        self.loses_reply = False
        self._ended = threading.Event()

    def serve(self) -> None:
        self._answers.start()
        with contextlib.suppress(OSError):
            while not self.is_cut and (request := self._client.recv(65_536)):
                self.last_request = request
                passed = self._meet(self, request)
                if not self.is_silent:
                    self._upstream.sendall(passed)
        if self.is_silent:
            self._ended.wait()  # the server does not hear either that its client is gone
        _shut(self._upstream)
        self._answers.join(5)

    def _pass_answers(self) -> None:
        with contextlib.suppress(OSError):
            while reply := self._upstream.recv(65_536):
                if self.loses_reply:
                    break
                if not self.is_silent:
                    self._client.sendall(reply)
        if not self.is_silent:
            _shut(self._client)

    def shut(self) -> None:
        self._ended.set()
        _shut(self._client)
        _shut(self._upstream)


def _shut(found: socket.socket) -> None:
    with contextlib.suppress(OSError):
        found.shutdown(socket.SHUT_RDWR)
