"""Sync links: `Line` is one connection of one thread, `Link` sends commands from any thread."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from tidemill import settings
from tidemill.connection.attempts import Attempts, checked, conduct, driver_errors_mapped, examine
from tidemill.connection.driver import LOST, is_out_of_step, make_wire, merge_loaded, missing_scripts, pack, with_loads
from tidemill.connection.sentinel import locate
from tidemill.errors import TidemillError
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Dialogue, Facts

T = TypeVar("T")


class Line:
    """One sync connection, owned by one thread: for blocking reads and subscriptions, and inside `Link`."""

    def __init__(self, target: Target, reply_timeout_seconds: float = settings.REPLY_TIMEOUT_SECONDS) -> None:
        self._target = target
        self._reply_timeout_seconds = reply_timeout_seconds
        self.facts: Facts = {}
        self.is_cut = False  # by `interrupt`
        self._early: list[tuple[str, str]] = []  # messages that came while an answer was awaited
        self._place = place = locate(target)
        self._wire = make_wire(place.url, reply_timeout_seconds)
        try:
            place.enter(self)
            self._wire.connect()
            place.check(self._talk(place.questions) if place.questions else ())
            if not target.examined:
                examine(target, self._talk([("INFO",)])[0])
        except BaseException:
            self.close()
            raise

    def _talk(self, words: Sequence[Sequence[object]]) -> list[object]:
        self._wire.send_packed_command(pack(words), check_health=False)
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

    def converse(self, dialogue: Dialogue[T], attempts: Attempts) -> T:
        """A dialogue from its beginning to its end."""
        turns = conduct(self._target, dialogue, self.facts, attempts)
        try:
            command = next(turns)
            while True:
                command = turns.send(self.exchange([command])[0])
        except StopIteration as over:
            result: T = over.value
            return result

    def run(self, command: Command[T]) -> T:
        """One command, once. Raises ServerUnavailable if the line is lost or the server is busy."""
        with driver_errors_mapped(self._target):
            return command.parse(checked(self.exchange([command]))[0])

    def run_blocking(self, command: Command[T], block_seconds: float) -> T:
        """As `run`, for a plain command that the server answers after `block_seconds` at the latest."""
        with driver_errors_mapped(self._target):
            self._wire.send_packed_command(pack([command.words]), check_health=False)
            return command.parse(self._wire.read_response(timeout=block_seconds + self._reply_timeout_seconds))

    def subscribe(self, channels: Sequence[str]) -> None:
        """Listens to sharded channels: `messages` has what is published on them.

        Again, it changes nothing, but raises ServerUnavailable when the line is dead or the channels are elsewhere:
        a subscription says nothing by itself.
        """
        with driver_errors_mapped(self._target):
            self._wire.send_packed_command(pack([("SSUBSCRIBE", *channels)]))
            missing = len(channels)
            while missing:
                answer = self._wire.read_response()
                self._early += _message(answer)
                missing -= _is_subscription(answer)

    def messages(self, timeout_seconds: float) -> list[tuple[str, str]]:
        """(channel, message) pairs that have come; [] after the timeout. Raises ServerUnavailable if lost."""
        with driver_errors_mapped(self._target):
            found, self._early = self._early, []
            while self._wire.can_read(0 if found else max(0.0, timeout_seconds)):
                found += _message(self._wire.read_response())
            return found

    def interrupt(self) -> None:
        """From another thread: a read that waits, and all that come after, end with ServerUnavailable."""
        self.is_cut = True
        # Not `disconnect`: it would take the socket from under the thread that reads it.
        connected = self._wire._sock  # pyright: ignore[reportPrivateUsage] - redis-py has no public way to say this
        if connected is not None:
            with contextlib.suppress(OSError):
                # The plain socket's own: a TLS socket's would forget its session while the other thread reads by it.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def close(self) -> None:
        """By the thread that owns it."""
        self._place.leave(self)
        with contextlib.suppress(*LOST):
            self._wire.disconnect()


def _message(answer: object) -> list[tuple[str, str]]:
    match answer:
        case [b"smessage", bytes(channel), bytes(message)]:
            return [(channel.decode(), message.decode())]
        case _:
            return []


def _is_subscription(answer: object) -> bool:
    match answer:
        case [b"ssubscribe", bytes(), int()]:
            return True
        case _:
            return False


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
        reply = self._until_answered(lambda line, _: checked(line.exchange([command])))[0]
        return command.parse(reply)

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """One round trip. If one fails for a passing reason, all are sent again: each is idempotent."""
        replies = self._until_answered(lambda line, _: checked(line.exchange(commands)))
        return [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]

    def converse(self, dialogue: Dialogue[T]) -> T:
        """As `run`; what the dialogue raises leaves as it is."""
        return self._until_answered(lambda line, attempts: line.converse(dialogue, attempts))

    def _until_answered(self, talk: Callable[[Line, Attempts], T]) -> T:
        attempts = Attempts(self.target, self._deadline_seconds)
        while True:
            with attempts:
                return self._once(talk, attempts)
            self.close()
            time.sleep(attempts.wait_seconds)

    def _once(self, talk: Callable[[Line, Attempts], T], attempts: Attempts) -> T:
        line = self._borrow()
        attempts.is_sent = True
        try:
            result = talk(line, attempts)
        except (TidemillError, ResponseError) as error:
            if is_out_of_step(error):
                line.close()
            else:
                self._idle.append(line)  # every answer was read: the line can be used again
            raise
        except BaseException:
            line.close()  # an answer may be under way, which the next command would take for its own
            raise
        self._idle.append(line)
        return result

    def _borrow(self) -> Line:
        if self._pid != os.getpid():  # a fork must not share its parent's sockets
            self._idle, self._pid = [], os.getpid()
        try:
            while (line := self._idle.pop()).is_cut:
                line.close()
            return line
        except IndexError:
            return Line(self.target, min(settings.REPLY_TIMEOUT_SECONDS, self._deadline_seconds))

    def close(self) -> None:
        """Closes idle connections; the link can be used again."""
        while self._idle:
            self._idle.pop().close()
