"""Links to the server: sync and async, with one implementation of everything but the call itself.

The driver's own retries are off: redis-py 8 sends a command again by itself up to ten times, which makes two jobs of
one. Ours may be sent again because each is idempotent: an enqueue by its job's id, a settlement by its fence. So a link
repeats a command until it has an answer or the deadline is over, with full jitter, and then raises ServerUnavailable.

No exception of redis-py leaves this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar, cast

import redis
from redis.asyncio import connection as async_connection
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import TimeoutError as DriverTimeoutError
from redis.retry import Retry

from tidemill import settings
from tidemill.errors import (
    GroupMissing,
    InvalidInput,
    QueueFull,
    ServerUnavailable,
    ServerUnsuitable,
    TidemillError,
)
from tidemill.faults import Fault, classify
from tidemill.logs import mask_url
from tidemill.target import Target
from tidemill.wire.command import Command

T = TypeVar("T")

_LOST = (DriverConnectionError, DriverTimeoutError, OSError, EOFError)


class _Wire(Protocol):
    """The part of redis-py's Connection that is used."""

    _sock: socket.socket | None

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Sequence[object]]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    def read_response(self) -> object: ...
    def can_read(self, timeout: float = ...) -> bool: ...


class _AsyncWire(Protocol):
    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Sequence[object]]) -> list[bytes]: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    async def read_response(self) -> object: ...


class Attempts:
    """How a command is tried again: shared by both links. `failed` returns seconds to wait, or raises."""

    def __init__(self, target: Target, deadline_seconds: float) -> None:
        self._target = target
        self._deadline_seconds = deadline_seconds
        self._began = time.monotonic()
        self._count = 0

    def failed(self, error: Exception) -> float:
        fault = Fault.LOST if isinstance(error, _LOST) else classify(str(error))
        if isinstance(error, AuthenticationError):
            fault = Fault.DENIED
        if fault is Fault.FULL:
            raise QueueFull(
                f"{self._target.masked} has reached its maxmemory and refuses new jobs; workers can still drain it"
            ) from error
        if fault is Fault.DENIED:
            raise ServerUnsuitable(f"{self._target.masked} refuses this user: {error}") from error
        if fault is Fault.NO_GROUP:
            raise GroupMissing(f"{self._target.masked}: {error}") from error
        if fault in (Fault.WRONG, Fault.NO_SCRIPT):
            raise TidemillError(f"{self._target.masked} answered with an error: {error}") from error
        wait = random.uniform(0, min(settings.RETRY_CAP_SECONDS, settings.RETRY_BASE_SECONDS * 2**self._count))
        # An idle connection may have been closed long ago: the first repeat is at once.
        wait = wait if self._count else 0.0
        self._count += 1
        if time.monotonic() - self._began + wait > self._deadline_seconds:
            raise ServerUnavailable(
                f"no answer from {self._target.masked} within {self._deadline_seconds:g} s "
                f"({self._count} tries): {error or type(error).__name__}"
            ) from error
        return wait


def _options(url: str, reply_timeout_seconds: float) -> dict[str, Any]:
    """What redis-py makes of the URL, with our timeouts. Raises InvalidInput for a URL that it can't read."""
    try:
        parsed = cast(Callable[[str], dict[str, Any]], parse_url)(url)
    except ValueError as error:
        raise InvalidInput(f"server URL {mask_url(url)!r} can't be read: {error}") from error
    parsed.update(
        socket_timeout=reply_timeout_seconds,
        socket_connect_timeout=settings.CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return parsed


def _connection_class(options: dict[str, Any], sync: bool) -> Callable[..., Any]:
    """redis-py names the class in the options for unix:// and rediss://."""
    kind = options.pop("connection_class", redis.Connection)
    if sync:
        return cast(Callable[..., Any], kind)
    name = cast(type, kind).__name__
    return cast(Callable[..., Any], getattr(async_connection, name))


def _missing_scripts(commands: Sequence[Command[Any]], replies: Sequence[object]) -> list[int]:
    return [
        index
        for index, reply in enumerate(replies)
        if isinstance(reply, ResponseError) and classify(str(reply)) is Fault.NO_SCRIPT and commands[index].script
    ]


def _with_loads(commands: Sequence[Command[Any]], indexes: Sequence[int]) -> list[tuple[object, ...]]:
    """SCRIPT LOAD before each of these commands. NOSCRIPT proves that the command was not applied."""
    words: list[tuple[object, ...]] = []
    for index in indexes:
        script = commands[index].script
        words += [("SCRIPT", "LOAD", script.text if script else ""), commands[index].words]
    return words


def _first_error(replies: Sequence[object]) -> Exception | None:
    return next((reply for reply in replies if isinstance(reply, Exception)), None)


class Line:
    """One sync connection, owned by one thread: for blocking reads and subscriptions, and inside `Link`."""

    def __init__(self, target: Target, reply_timeout_seconds: float = settings.REPLY_TIMEOUT_SECONDS) -> None:
        self._target = target
        options = _options(target.url, reply_timeout_seconds)
        self._wire = cast(_Wire, _connection_class(options, sync=True)(**options))
        self._wire.connect()
        if not target.examined:
            target.examine(self._talk([("INFO",)])[0])

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
        missing = _missing_scripts(commands, replies)
        if missing:
            loaded = self._talk(_with_loads(commands, missing))
            for place, index in enumerate(missing):
                replies[index] = loaded[2 * place + 1]
        return replies

    def run(self, command: Command[T]) -> T:
        """One command, once. Raises ServerUnavailable if the line is lost or the server is busy."""
        with driver_errors_mapped(self._target):
            reply = self.exchange([command])[0]
            if isinstance(reply, Exception):
                raise reply
            return command.parse(reply)

    def subscribe(self, channels: Sequence[str]) -> None:
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
                connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """By the thread that owns it."""
        with contextlib.suppress(*_LOST):
            self._wire.disconnect()


@contextlib.contextmanager
def driver_errors_mapped(target: Target) -> Generator[None]:
    """For calls that are made once: whatever fails is one of ours."""
    try:
        yield
    except TidemillError:
        raise
    except (RedisError, *_LOST) as error:
        Attempts(target, deadline_seconds=-1).failed(error)


def open_line(target: Target, reply_timeout_seconds: float = settings.REPLY_TIMEOUT_SECONDS) -> Line:
    """A connection for a thread of its own. Raises ServerUnavailable, ServerUnsuitable, InvalidInput."""
    with driver_errors_mapped(target):
        return Line(target, reply_timeout_seconds)


class Link:
    """Commands to the server from any thread."""

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

    def _until_answered(self, commands: Sequence[Command[Any]]) -> list[object]:
        attempts: Attempts | None = None
        while True:
            try:
                replies = self._once(commands)
                error = _first_error(replies)
                if error is None:
                    return replies
            except TidemillError:  # decided already: no server to be found, or one that will not do
                raise
            except (RedisError, *_LOST) as lost:
                error = lost
            attempts = attempts or Attempts(self.target, self._deadline_seconds)
            wait = attempts.failed(error)
            self.close()
            time.sleep(wait)

    def _once(self, commands: Sequence[Command[Any]]) -> list[object]:
        if self._pid != os.getpid():  # a fork must not share its parent's sockets
            self._idle, self._pid = [], os.getpid()
        try:
            line = self._idle.pop()
        except IndexError:
            line = Line(self.target)
        try:
            replies = line.exchange(commands)
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        return replies

    def close(self) -> None:
        """Closes idle connections; the link can be used again."""
        while self._idle:
            self._idle.pop().close()


class _AsyncLine:
    """One async connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        options = _options(target.url, settings.REPLY_TIMEOUT_SECONDS)
        self._wire = cast(_AsyncWire, _connection_class(options, sync=False)(**options))

    async def connect(self) -> None:
        await self._wire.connect()
        if not self._target.examined:
            self._target.examine((await self._talk([("INFO",)]))[0])

    async def _talk(self, words: Sequence[Sequence[object]]) -> list[object]:
        await self._wire.send_packed_command(self._wire.pack_commands(words), check_health=False)
        return [await self._read() for _ in words]

    async def _read(self) -> object:
        try:
            return await self._wire.read_response()
        except ResponseError as error:
            return error

    async def exchange(self, commands: Sequence[Command[Any]]) -> list[object]:
        replies = await self._talk([command.words for command in commands])
        missing = _missing_scripts(commands, replies)
        if missing:
            loaded = await self._talk(_with_loads(commands, missing))
            for place, index in enumerate(missing):
                replies[index] = loaded[2 * place + 1]
        return replies

    async def close(self) -> None:
        with contextlib.suppress(*_LOST, RuntimeError):  # RuntimeError: its loop is closed already
            await self._wire.disconnect()


class AsyncLink:
    """Commands to the server from any event loop: connections belong to the loop that made them."""

    def __init__(self, target: Target, deadline_seconds: float = settings.SERVER_DEADLINE_SECONDS) -> None:
        self.target = target
        self._deadline_seconds = deadline_seconds
        self._idle: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[_AsyncLine]] = weakref.WeakKeyDictionary()

    async def run(self, command: Command[T]) -> T:
        """As `Link.run`."""
        return command.parse((await self._until_answered([command]))[0])

    async def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """As `Link.run_all`."""
        replies = await self._until_answered(commands)
        return [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]

    async def _until_answered(self, commands: Sequence[Command[Any]]) -> list[object]:
        attempts: Attempts | None = None
        while True:
            try:
                replies = await self._once(commands)
                error = _first_error(replies)
                if error is None:
                    return replies
            except TidemillError:  # decided already: no server to be found, or one that will not do
                raise
            except (RedisError, *_LOST) as lost:
                error = lost
            attempts = attempts or Attempts(self.target, self._deadline_seconds)
            wait = attempts.failed(error)
            await self.close()
            await asyncio.sleep(wait)

    async def _once(self, commands: Sequence[Command[Any]]) -> list[object]:
        idle = self._idle.setdefault(asyncio.get_running_loop(), [])
        if idle:
            line = idle.pop()
        else:
            line = await asyncio.to_thread(_AsyncLine, self.target)  # finding the embedded server may take a while
            await line.connect()
        try:
            replies = await line.exchange(commands)
        except BaseException:
            await line.close()
            raise
        idle.append(line)
        return replies

    async def close(self) -> None:
        """Closes the idle connections of the running loop; the link can be used again."""
        idle = self._idle.setdefault(asyncio.get_running_loop(), [])
        while idle:
            await idle.pop().close()
