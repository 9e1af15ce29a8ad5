"""What a worker tells its supervisor: that its interpreter still gets its turn, and what is needed to keep its lease
when it does not.

A message is one datagram on a pair of sockets, so it is whole or not there, and neither side ever waits for the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Final, Self

# Names the descriptor of its end of the pair to the worker.
BEATS_VARIABLE: Final = "TIDEMILL_BEATS_FD"
# Larger than any message: a URL and a few numbers.
_MAX_MESSAGE_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life.

    deadline_seconds: when the first of its running jobs is over its timeout, on the clock that all processes of a
        machine share (`time.monotonic`); None when none has one.
    """

    url: str
    prefix: str
    incarnation: str
    lease_ms: int
    deadline_seconds: float | None = None


class BeatSender:
    """The worker's end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)

    @classmethod
    def of_supervisor(cls) -> Self | None:
        """None for a worker without a supervisor. What this process starts must not take the descriptor for its own."""
        found = os.environ.pop(BEATS_VARIABLE, "")
        if not found.isdigit():
            return None
        os.set_inheritable(int(found), False)
        return cls(socket.socket(fileno=int(found)))

    def send(self, beat: Beat) -> None:
        # A supervisor that does not read has enough of them; one that is gone ends this process by other means.
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(asdict(beat)).encode())


class BeatReceiver:
    """The supervisor's end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)

    def last(self) -> Beat | None:
        """The newest of those that have come since the last call; None: none has."""
        message = b""
        with contextlib.suppress(OSError):
            while found := self._channel.recv(_MAX_MESSAGE_BYTES):
                message = found
        if not message:
            return None
        return Beat(**json.loads(message))

    def close(self) -> None:
        self._channel.close()


def pair() -> tuple[BeatReceiver, socket.socket]:
    """The supervisor's end, and the socket that the worker inherits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return BeatReceiver(ours), theirs
