"""The thread that listens to all sentinels of one primary, as long as somebody needs it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from tidemill.connection.driver import DRIVER_ERRORS, LOST, Wire, make_wire, pack
from tidemill.sentinel_url import SentinelUrl

# A sentinel answers from its memory: one that takes longer is passed over, as it may have died with the primary.
ASK_SECONDS: Final = 0.5
# How often a sentinel that can't be reached is tried again, and how long the thread lives that nobody needs any more.
_LOOK_SECONDS: Final = 2.0
# `promoted-slave` is said by the sentinel that leads the failover, up to seconds before all say `switch-master`.
_CHANNELS: Final = ("+switch-master", "+promoted-slave")
# Said by the sentinel that was elected to lead a failover: 0.1 s or more before it promotes a replica.
FAILOVER_BEGINS: Final = "+failover-state-select-slave"


class SentinelWatch:
    """Calls `look_at` with the sentinel that has announced something about the primary, and the announcement's name;
    and with each sentinel to which it has just begun to listen. Ends when `is_unused`.
    """

    def __init__(self, url: SentinelUrl, look_at: Callable[[str, str], None], is_unused: Callable[[], bool]) -> None:
        self._sentinels = url.sentinels
        self._primary = url.primary.encode()
        self._look_at = look_at
        self._is_unused = is_unused
        self._wires: dict[str, Wire] = {}
        self._thread = threading.Thread(target=self._run, name="tidemill-sentinels", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._is_unused():
                for sentinel in self._sentinels:
                    if sentinel not in self._wires:
                        self._listen_to(sentinel)
                self._hear(time.monotonic() + _LOOK_SECONDS)
        finally:
            for wire in self._wires.values():
                close(wire)

    def _listen_to(self, sentinel: str) -> None:
        with contextlib.suppress(*DRIVER_ERRORS):
            wire = make_wire(sentinel, ASK_SECONDS)
            try:
                wire.connect()
                talk(wire, ("SUBSCRIBE", FAILOVER_BEGINS, *_CHANNELS), replies=1 + len(_CHANNELS))
            except BaseException:
                close(wire)
                raise
            self._wires[sentinel] = wire
            self._look_at(sentinel, "")  # what was announced while nobody listened

    def _hear(self, until: float) -> None:
        while (left_seconds := until - time.monotonic()) > 0:
            sockets = {connected: sentinel for sentinel, wire in self._wires.items() if (connected := _socket(wire))}
            if not sockets:
                time.sleep(left_seconds)
                return
            readable, _, _ = select.select(list(sockets), [], [], left_seconds)
            for found in readable:
                self._read(sockets[found])

    def _read(self, sentinel: str) -> None:
        wire = self._wires[sentinel]
        try:
            while wire.can_read(0):
                announced = self._announced(wire.read_response())
                if announced:
                    self._look_at(sentinel, announced)
        except DRIVER_ERRORS:
            close(self._wires.pop(sentinel))

    def _announced(self, message: object) -> str:
        """What is announced of our primary; "" for anything else."""
        match message:
            case [b"message", bytes(channel), bytes(text)] if self._primary in text.split(b" "):
                return channel.decode()
            case _:
                return ""


def talk(wire: Wire, words: tuple[object, ...], replies: int = 1) -> object:
    """The last reply to one command. Raises the driver's errors."""
    wire.send_packed_command(pack([words]), check_health=False)
    return [wire.read_response() for _ in range(replies)][-1]


def close(wire: Wire) -> None:
    with contextlib.suppress(*LOST):
        wire.disconnect()


def _socket(wire: Wire) -> socket.socket | None:
    return wire._sock  # pyright: ignore[reportPrivateUsage] - redis-py has no public way to say this
