"""Who may begin a job that was sent ahead to a child: whoever takes its permit.

A worker sends a child several jobs at once, so that the child never waits for the next one. But one that waits behind a
long job must come back when another child is free, and one that waits behind a job that has to be killed must neither
be killed nor be lost. So the worker has to know what has begun, and a message from the child would always tell it late.

The kernel decides. With each job the worker writes a permit into a socket, and before a job the child reads one: this
is its beginning. The worker can read the same end. A permit that it takes back is one that the child has not got, so
the job has not begun, and never will there. (GNU make's job server rests on the same: a byte has one reader.)

What follows: a child reads a permit after it has sent the answer of the job before. So once all permits are taken back
and then all answers are read, one job at most has neither: the one that runs. A kill hits that job and no other.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from typing import Final

_NUMBER: Final = struct.Struct("!I")
# Of one read; far more than there ever are.
_READ_BYTES: Final = 1 << 12


class Permits:
    """The worker's: both ends. The child inherits `descriptor`, for a `PermitReader`."""

    def __init__(self) -> None:
        self._writing, self._reading = socket.socketpair()
        self.descriptor = self._reading.fileno()

    def give(self, numbers: Iterable[int]) -> None:
        """To jobs of these numbers, in ascending order."""
        self._writing.sendall(b"".join(map(_NUMBER.pack, numbers)))

    def take_back(self) -> list[int]:
        """The jobs of these numbers have not begun, and will not."""
        numbers: list[int] = []
        # Not by a non-blocking socket: the child shares the mode of this end, and is to wait.
        with contextlib.suppress(BlockingIOError):
            while data := self._reading.recv(_READ_BYTES, socket.MSG_DONTWAIT):
                numbers += [number for (number,) in _NUMBER.iter_unpack(data)]
        return numbers

    def end(self) -> None:
        """There will be no more: the child ends after those that it has. They can still be taken back."""
        self._writing.close()

    def close(self) -> None:
        self._writing.close()
        self._reading.close()


class PermitReader:
    """The child's."""

    def __init__(self, descriptor: int) -> None:
        self._reading = socket.socket(fileno=descriptor)

    def next(self) -> int | None:
        """The number of the job that begins now. Blocks until there is one; None: there will be none."""
        # One at a time. Permits are written whole and nobody reads a part of one, so this gets all of it.
        data = self._reading.recv(_NUMBER.size)
        return _NUMBER.unpack(data)[0] if data else None

    def close(self) -> None:
        self._reading.close()
