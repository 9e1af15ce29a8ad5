"""Sync links: `Line` is one connection of one thread, `Link` sends commands from any thread."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from tidemill import settings
from tidemill.connection.attempts import Attempts, checked, driver_errors_mapped, examine
from tidemill.connection.driver import LOST, make_wire, merge_loaded, missing_scripts, with_loads
from tidemill.target import Target
from tidemill.wire.command import Command

T = TypeVar("T")


class Line:
    """One sync connection, owned by one thread: for blocking reads and subscriptions, and inside `Link`."""

    def __init__(self, target: Target, reply_timeout_seconds: float = settings.REPLY_TIMEOUT_SECONDS) -> None:
        self._target = target
        self._wire = make_wire(target.url, reply_timeout_seconds)
        try:
            self._wire.connect()
            if not target.examined:
                examine(target, self._talk([("INFO",)])[0])
        except BaseException:
            self.close()
            raise

    def _talk(self, words: Sequence[Sequence[object]]) -> list[object]:
        self._wire.send_packed_command(self._wire.pack_commands(words), check_health=False)
        return [self._read() for _ in words]

    def _read(self) -> object:
        try:
            return self._wire.read_response()
        except ResponseError as error:
            return error

    def exchange(self, commands: Sequence[Command[Any]]) -> list[object]:
        """Raw replies in order, errors of the server among them. Raises the driver's error if the line is lost."""
        replies = self._talk([command.words for command in commands])
        missing = missing_scripts(commands, replies)
        return merge_loaded(replies, missing, self._talk(with_loads(commands, missing))) if missing else replies

    def run(self, command: Command[T]) -> T:
        """One command, once. Raises ServerUnavailable if the line is lost or the server is busy."""
        with driver_errors_mapped(self._target):
            return command.parse(checked(self.exchange([command]))[0])

    def subscribe(self, channels: Sequence[str]) -> None:
        """Listens to sharded channels: `messages` has what is published on them."""
        with driver_errors_mapped(self._target):
            self._wire.send_packed_command(self._wire.pack_commands([("SSUBSCRIBE", *channels)]))
            for _ in channels:
                self._wire.read_response()

    def messages(self, timeout_seconds: float) -> list[tuple[str, str]]:
        """(channel, message) pairs that have come; [] after the timeout. Raises ServerUnavailable if lost."""
        with driver_errors_mapped(self._target):
            found: list[tuple[str, str]] = []
            while self._wire.can_read(0 if found else max(0.0, timeout_seconds)):
                match self._wire.read_response():
                    case [b"smessage", bytes(channel), bytes(message)]:
                        found.append((channel.decode(), message.decode()))
                    case _:
                        pass
            return found

    def interrupt(self) -> None:
        """From another thread: a read that waits, and all that come after, end with ServerUnavailable."""
        # Not `disconnect`: it would take the socket from under the thread that reads it.
        connected = self._wire._sock  # pyright: ignore[reportPrivateUsage] - redis-py has no public way to say this
        if connected is not None:
            with contextlib.suppress(OSError):
                # The plain socket's own: a TLS socket's would forget its session while the other thread reads by it.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def close(self) -> None:
        """By the thread that owns it."""
        with contextlib.suppress(*LOST):
            self._wire.disconnect()


def open_line(target: Target, reply_timeout_seconds: float = settings.REPLY_TIMEOUT_SECONDS) -> Line:
    """A connection for a thread of its own. Raises ServerUnavailable, ServerUnsuitable, InvalidInput."""
    with driver_errors_mapped(target):
        return Line(target, reply_timeout_seconds)


class Link:
    """Commands to the server from any thread; as many connections as threads that talk at the same time."""

    def __init__(self, target: Target, deadline_seconds: float = settings.SERVER_DEADLINE_SECONDS) -> None:
        self.target = target
        self._deadline_seconds = deadline_seconds
        self._idle: list[Line] = []
        self._pid = os.getpid()

    def run(self, command: Command[T]) -> T:
        """Raises ServerUnavailable after the deadline, QueueFull if memory is short, or what `parse` raises."""
        reply = self._until_answered([command])[0]
        return command.parse(reply)

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """One round trip. If one fails for a passing reason, all are sent again: each is idempotent."""
        replies = self._until_answered(commands)
        return [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]

    def _until_answered(self, commands: Sequence[Command[Any]]) -> Sequence[object]:
        attempts = Attempts(self.target, self._deadline_seconds)
        while True:
            with attempts:
                return checked(self._once(commands))
            self.close()
            time.sleep(attempts.wait_seconds)

    def _once(self, commands: Sequence[Command[Any]]) -> list[object]:
        line = self._borrow()
        try:
            replies = line.exchange(commands)
        except BaseException:
            line.close()  # an answer may be under way, which the next command would take for its own
            raise
        self._idle.append(line)
        return replies

    def _borrow(self) -> Line:
        if self._pid != os.getpid():  # a fork must not share its parent's sockets
            self._idle, self._pid = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return Line(self.target, min(settings.REPLY_TIMEOUT_SECONDS, self._deadline_seconds))

    def close(self) -> None:
        """Closes idle connections; the link can be used again."""
        while self._idle:
            self._idle.pop().close()
