"""How other threads wake one that waits in a selector, and what they want of it."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


class Mailbox:
    """`watch` and `read` are for the thread that waits, the rest for all others."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._is_watched = False

    def fileno(self) -> int:
        """For selectors: readable when there is something new."""
        return self._ear.fileno()

    def post(self, call: Callable[[], None]) -> None:
        """The thread makes this call soon."""
        self._calls.append(call)
        self.wake()

    def ask(self, call: Callable[[], R], seconds: float) -> R | None:
        """What the call returned that the thread has made. None: it did not come to it in time, and never makes it."""
        answer = Future[R]()

        def make() -> None:
            if answer.set_running_or_notify_cancel():
                answer.set_result(call())

        self.post(make)
        try:
            return answer.result(seconds)
        except TimeoutError:  # it is busy, or has died
            return None if answer.cancel() else answer.result()

    def wake(self) -> None:
        """Of many in a row only the first costs a system call."""
        if self._is_watched:
            self._is_watched = False
            with contextlib.suppress(OSError):  # it is full, or closed
                self._bell.send(b"\0")

    def watch(self) -> None:
        """From now on the first `wake` is heard; before it waits, the thread looks at what came until now."""
        self._is_watched = True

    def read(self) -> None:
        """Makes the calls that were posted."""
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(64)
        while self._calls:
            self._calls.popleft()()

    def close(self) -> None:
        self._bell.close()
        self._ear.close()
