"""The network between the processes and the server: a TCP proxy that can do to bytes what networks do to them."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 65_536
# How often a direction that is held up looks whether it may go on.
_LOOK_SECONDS: Final = 0.02
# SO_LINGER with no time: `close` resets the connection.
_RESET: Final = struct.pack("ii", 1, 0)


class Connection:
    """One client's connection and its way on to the server. `break_off` may be called from any thread."""

    def __init__(self, client: socket.socket, upstream: socket.socket) -> None:
        self.client = client
        self.upstream = upstream
        self.bytes_left: int | None = None  # of what the client is sent or sends, then it is cut off
        self.misses_bytes = False

    def break_off(self) -> None:
        for end in (self.client, self.upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Network:
    """Passes bytes between its port and the server's unix socket. Faults last until the method that ends them."""

    def __init__(self, server_socket: Path, seed: int) -> None:
        self._server_socket = server_socket
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._pause = threading.Event()  # never set: only waited for
        self._connections: set[Connection] = set()
        self._is_stalled = False
        self._swallows = False
        self._delay_seconds = 0.0
        self._chunk_bytes = _CHUNK_BYTES
        self._loses_replies = False
        self.lost_replies = 0
        self.cut_connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    # -- faults -------------------------------------------------------------------------------------------------

    def lose_replies(self, seconds: float) -> None:
        """What is asked now reaches the server; instead of the reply, the connection ends."""
        self._loses_replies = True
        self._pause.wait(seconds)
        self._loses_replies = False

    def cut(self, share: float) -> int:
        """Breaks some connections. Returns how many."""
        return self._break(lambda _: self._random.random() < share)

    def cut_at_byte(self, share: float) -> None:
        """Some connections end in the middle of what they carry next, in either direction."""
        with self._lock:
            for connection in self._connections:
                if self._random.random() < share:
                    connection.bytes_left = self._random.randrange(1, 200)

    def swallow(self) -> None:
        """Nothing arrives any more, in no direction, and nobody is told."""
        self._swallows = True

    def stall(self) -> None:
        """Nothing arrives for now; what was sent arrives late, also what its sender has long given up."""
        self._is_stalled = True

    def delay(self, seconds: float) -> None:
        self._delay_seconds = seconds

    def split(self) -> None:
        """Bytes arrive one by one."""
        self._chunk_bytes = 1

    def heal(self) -> None:
        """No fault any more. Where bytes are missing, the connection is broken first."""
        self._break(lambda connection: connection.misses_bytes)
        self._swallows = False
        self._is_stalled, self._loses_replies = False, False
        self._delay_seconds, self._chunk_bytes = 0.0, _CHUNK_BYTES

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break(lambda _: True)

    def _break(self, wanted: Callable[[Connection], bool]) -> int:
        with self._lock:
            found = [connection for connection in self._connections if wanted(connection)]
        for connection in found:
            connection.break_off()
        self.cut_connections += len(found)
        return len(found)

    # -- bytes --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, socket.socket(socket.AF_UNIX) as upstream:
            try:
                upstream.connect(str(self._server_socket))
            except OSError:  # the server is down: as near to a refusal as a proxy comes
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            connection = Connection(client, upstream)
            with self._lock:
                self._connections.add(connection)
            replies = threading.Thread(target=self._pass_replies, args=(connection,), daemon=True)
            replies.start()
            with contextlib.suppress(OSError):
                while data := client.recv(_CHUNK_BYTES):
                    self._forward(connection, upstream, data)
            connection.break_off()
            replies.join()
            with self._lock:
                self._connections.discard(connection)

    def _pass_replies(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):
            while data := connection.upstream.recv(_CHUNK_BYTES):
                if self._loses_replies:
                    self.lost_replies += 1
                    break
                self._forward(connection, connection.client, data)
        connection.break_off()

    def _forward(self, connection: Connection, to: socket.socket, data: bytes) -> None:
        """Raises OSError when the connection is to end here."""
        if self._delay_seconds:
            self._pause.wait(self._delay_seconds)
        while self._is_stalled:
            self._pause.wait(_LOOK_SECONDS)
        if self._swallows or connection.misses_bytes:
            connection.misses_bytes = True
            return
        left = connection.bytes_left
        if left is not None:
            to.sendall(data[:left])
            connection.bytes_left = left - len(data)
            if len(data) >= left:
                self.cut_connections += 1
                raise ConnectionAbortedError
            return
        chunk_bytes = self._chunk_bytes  # once: it may change while the bytes are under way
        for start in range(0, len(data), chunk_bytes):
            to.sendall(data[start : start + chunk_bytes])
