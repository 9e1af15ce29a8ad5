"""redis-py, as far as it is used: bare connections, without its clients, pools and retries."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

import redis
from hiredis import pack_command  # pyright: ignore[reportUnknownVariableType] - its types are partial
from redis import exceptions
from redis.asyncio import connection as async_connection
from redis.backoff import NoBackoff
from redis.connection import parse_url  # pyright: ignore[reportUnknownVariableType] - its types are partial
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import TimeoutError as DriverTimeoutError
from redis.retry import Retry

from tidemill import settings
from tidemill.errors import InvalidInput
from tidemill.faults import Fault, classify
from tidemill.logs import mask_url
from tidemill.wire.command import Command

# The connection is of no more use. OSError holds the built-in ConnectionError and TimeoutError.
LOST: Final = (DriverConnectionError, DriverTimeoutError, OSError, EOFError)
# All that the driver raises.
DRIVER_ERRORS: Final = (RedisError, *LOST)

# From the text of these the driver strips the first words, by which `classify` would know them.
_BY_CLASS: Final[dict[type[object], Fault]] = {
    exceptions.BusyLoadingError: Fault.BUSY,  # which is a lost connection for the driver
    exceptions.ClusterDownError: Fault.BUSY,
    exceptions.MasterDownError: Fault.BUSY,
    exceptions.TryAgainError: Fault.BUSY,
    exceptions.MovedError: Fault.MOVED,
    exceptions.AskError: Fault.MOVED,
    exceptions.ReadOnlyError: Fault.MOVED,
    exceptions.NoScriptError: Fault.NO_SCRIPT,
    exceptions.OutOfMemoryError: Fault.FULL,
    exceptions.NoPermissionError: Fault.DENIED,
}

_pack_command = cast(Callable[[tuple[object, ...]], bytes], pack_command)

# A peer that vanished without a word (a power cut, a dropped NAT entry) is noticed after about a minute, also by a
# connection that only listens.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Wire(Protocol):
    """The part of redis-py's Connection that is used."""

    _sock: socket.socket | None

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    def read_response(self, *, timeout: float = ...) -> object: ...
    def can_read(self, timeout: float = ...) -> bool: ...


class AsyncWire(Protocol):
    """The part of redis-py's async Connection that is used."""

    _writer: asyncio.StreamWriter | None

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Sequence[object]]) -> list[bytes]: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    async def read_response(self) -> object: ...


def make_wire(url: str, reply_timeout_seconds: float) -> Wire:
    """A connection that is not connected yet. Raises InvalidInput for a URL that can't be read."""
    options = _options(url, reply_timeout_seconds)
    return cast(Wire, _construct(options.pop("connection_class", redis.Connection), options, url))


def make_async_wire(url: str, reply_timeout_seconds: float) -> AsyncWire:
    """As `make_wire`; but once connected, the time for an answer is the caller's to limit: redis-py would make a task
    of each send for that.
    """
    options = _options(url, reply_timeout_seconds) | {"socket_timeout": None}
    # redis-py names its sync class in the options for unix:// and rediss://; the async ones have the same names.
    name = cast(type, options.pop("connection_class", redis.Connection)).__name__
    return cast(AsyncWire, _construct(getattr(async_connection, name), options, url))


def _options(url: str, reply_timeout_seconds: float) -> dict[str, Any]:
    try:
        parsed = cast(Callable[[str], dict[str, Any]], parse_url)(url)
    except ValueError as error:
        raise InvalidInput(f"server URL {mask_url(url)!r} can't be read: {error}") from error
    if not url.startswith("unix:"):
        known = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
        parsed.update(socket_keepalive=True, socket_keepalive_options=known)
    parsed.update(
        socket_timeout=reply_timeout_seconds,
        socket_connect_timeout=min(reply_timeout_seconds, settings.CONNECT_TIMEOUT_SECONDS),
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )
    return parsed


def _construct(kind: Callable[..., Any], options: dict[str, Any], url: str) -> Any:
    try:
        return kind(**options)
    except TypeError as error:  # a query parameter that the driver does not know
        unknown = str(error).rpartition("argument ")[2]
        raise InvalidInput(f"server URL {mask_url(url)!r} can't be read: unknown option {unknown}") from error


def pack(commands: Sequence[Sequence[object]]) -> list[bytes]:
    """The commands as they are sent: in one piece, by the packer that redis-py's sync connections use."""
    return [b"".join([_pack_command(tuple(words)) for words in commands])]


def fault_of(error: Exception) -> Fault:
    """What an error of the driver or of the server means."""
    # The async driver wraps what goes wrong while it connects.
    if isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError):
        return Fault.DENIED
    known = _BY_CLASS.get(type(error)) or _BY_CLASS.get(type(error.__cause__))
    if known is not None:
        return known
    # Of a server with too many clients the driver says that the connection was lost, in the server's words.
    is_lost = isinstance(error, LOST) and "max number of clients" not in str(error)
    return Fault.LOST if is_lost else classify(str(error))


def is_out_of_step(error: Exception) -> bool:
    """An error that no command of ours can have, for all we know: then it is not sure either that this answer, and the
    next one on the same connection, belongs to the command that was sent."""
    return isinstance(error, ResponseError) and fault_of(error) is Fault.WRONG


def missing_scripts(commands: Sequence[Command[Any]], replies: Sequence[object]) -> list[int]:
    """The places of commands whose script the server does not have."""
    return [
        index
        for index, reply in enumerate(replies)
        if isinstance(reply, ResponseError) and fault_of(reply) is Fault.NO_SCRIPT and commands[index].script
    ]


def with_loads(commands: Sequence[Command[Any]], places: Sequence[int]) -> list[tuple[object, ...]]:
    """SCRIPT LOAD before each of these commands. NOSCRIPT proves that the command was not applied."""
    words: list[tuple[object, ...]] = []
    for place in places:
        script = commands[place].script
        words += [("SCRIPT", "LOAD", script.text if script else ""), commands[place].words]
    return words


def merge_loaded(replies: list[object], places: Sequence[int], loaded: Sequence[object]) -> list[object]:
    """The replies, with those of `with_loads` in their places; a script that can't be loaded says why."""
    for index, place in enumerate(places):
        load, answer = loaded[2 * index : 2 * index + 2]
        replies[place] = load if isinstance(load, Exception) else answer
    return replies
