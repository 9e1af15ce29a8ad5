"""Where the primary is, and when it is no longer there: asked of Redis Sentinel.

Each new connection asks for the address, and asks the server that it finds there whether it is a primary. That is not
enough: the old primary of a failover may go on for ten seconds to accept writes that will be thrown away, and to whom
is connected to it nothing looks wrong; its own role says nothing, since it does not know yet. So one thread a process
listens to all sentinels. When one of them announces a switch, every connection to the old primary is cut, also in the
middle of a blocking read, and whoever used it connects anew. It listens to all, since one of them may have died
together with the primary.

When a healthy primary is replaced (SENTINEL FAILOVER), what it acknowledges after the promotion is lost, up to a second
before anybody is told. So connections are cut already when the failover begins, a moment before the promotion, and
none is made until the sentinel that leads it names the new primary or has given up.

What orders the sentinels' answers is the configuration epoch, which each failover raises (redis.io, "Redis Sentinel":
configuration epochs, configuration propagation): an answer of an older epoch than one that was heard is stale.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError
from redis.exceptions import ConnectionError as DriverConnectionError

from tidemill.connection.driver import DRIVER_ERRORS, make_wire
from tidemill.connection.sentinel_watch import ASK_SECONDS, FAILOVER_BEGINS, SentinelWatch, close, talk
from tidemill.sentinel_url import SentinelUrl, is_sentinel_url
from tidemill.target import Target
from tidemill.telemetry import Event, event

# For how long after the newest configuration was heard an older one counts as stale. By far longer than sentinels need
# to tell each other; after that the sentinels must have been set up anew.
_STALE_SECONDS: Final = 30.0
# How long connections wait for a failover that has begun: it takes one or two seconds. Shorter than our own deadline,
# since a failover that gets stuck must not stop those who use a primary that is healthy.
_HOLD_SECONDS: Final = 5.0


class Connection(Protocol):
    """What can be cut from another thread."""

    def interrupt(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a sentinel says of the primary."""

    sentinel: str
    host: str
    port: int
    epoch: int
    is_failing_over: bool  # it leads a failover, and has promoted nobody yet


@dataclass(frozen=True, slots=True)
class _Hold:
    """No connection to the primary of this epoch: its failover has begun."""

    leader: str
    epoch: int
    until: float  # monotonic seconds


class Place:
    """Where one connection goes: the server of a plain URL."""

    # What is sent as soon as it is connected, for `check`.
    questions: Sequence[Sequence[object]] = ()

    def __init__(self, url: str) -> None:
        self.url = url

    def enter(self, connection: Connection) -> None:
        """Before it connects."""

    def check(self, replies: Sequence[object]) -> None:
        """Raises the driver's error if it is the wrong server, or has become so meanwhile."""

    def leave(self, connection: Connection) -> None:
        """When it is closed."""


class PrimaryPlace(Place):
    """What the sentinels say is the primary."""

    # HELLO and not ROLE, which tell the same: every user may say HELLO, whatever its ACL.
    questions = (("HELLO",),)

    def __init__(self, sentinels: Sentinels, answer: _Answer) -> None:
        super().__init__(sentinels.url.server(answer.host, answer.port))
        self._sentinels = sentinels
        self._answer = answer

    def enter(self, connection: Connection) -> None:
        self._sentinels.watch(connection, self._answer)

    def check(self, replies: Sequence[object]) -> None:
        self._sentinels.check(self._answer, replies[0])

    def leave(self, connection: Connection) -> None:
        self._sentinels.forget(connection)


class Sentinels:
    """The sentinels of one URL, for all connections of this process."""

    def __init__(self, url: SentinelUrl) -> None:
        self.url: Final = url
        self._in_turn = list(url.sentinels)
        self._epoch = -1
        self._epoch_heard_at = 0.0  # monotonic seconds
        self._hold: _Hold | None = None
        self.start_anew()

    def start_anew(self) -> None:
        """A fork has none of its parent's threads and connections, and perhaps a lock that one of them held."""
        self._lock = threading.Lock()
        self._connections: weakref.WeakKeyDictionary[Connection, int] = weakref.WeakKeyDictionary()  # with their epoch
        self._watch: SentinelWatch | None = None

    def find(self) -> _Answer:
        """Asks until one answers that knows the newest epoch. Raises the driver's errors."""
        best: _Answer | None = None
        failures: list[Exception] = []
        with self._lock:
            in_turn = list(self._in_turn)
        for sentinel in in_turn:
            try:
                answer = ask(sentinel, self.url.primary)
            except DRIVER_ERRORS as error:
                failures.append(error)
                continue
            if best is None or answer.epoch > best.epoch:
                best = answer
            if answer.epoch >= self._epoch:
                break
        if best is None:
            raise _unanswered(failures)
        with self._lock:
            self._believe(best)
        return best

    def _believe(self, answer: _Answer) -> None:
        now = time.monotonic()
        if self._hold and self._hold.leader == answer.sentinel and not answer.is_failing_over:
            self._hold = None
        self._refuse_held(answer)
        if answer.epoch < self._epoch and now - self._epoch_heard_at < _STALE_SECONDS:
            self._put(answer.sentinel, last=True)
            raise DriverConnectionError("the sentinels that answer do not know yet which server is the primary now")
        self._put(answer.sentinel)
        self._epoch_heard_at = now
        self._epoch = min(self._epoch, answer.epoch)  # sentinels that were set up anew count from the beginning

    def _refuse_held(self, answer: _Answer) -> None:
        hold = self._hold
        if hold and answer.epoch <= hold.epoch and time.monotonic() < hold.until:
            raise DriverConnectionError(f"a failover of {self.url.primary!r} is under way")

    def _put(self, sentinel: str, *, last: bool = False) -> None:
        """The one that answered last is asked first."""
        self._in_turn.remove(sentinel)
        self._in_turn.insert(len(self._in_turn) if last else 0, sentinel)

    def watch(self, connection: Connection, answer: _Answer) -> None:
        """From now on the connection is cut when the primary changes."""
        with self._lock:
            self._connections[connection] = answer.epoch
            if self._watch is None:
                self._watch = SentinelWatch(self.url, self._look_at, self._is_unused)
                self._watch.start()

    def forget(self, connection: Connection) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def check(self, answer: _Answer, hello: object) -> None:
        """Is it a primary, and still the one that the sentinels name?"""
        if isinstance(hello, Exception):
            raise hello
        if _value(hello, b"role") != b"master":
            with self._lock:
                self._put(answer.sentinel, last=True)
            raise ReadOnlyError(f"{answer.host}:{answer.port}, which the sentinels name as the primary, is a replica")
        self._refuse_held(answer)
        self._heard(answer)
        if answer.epoch < self._epoch:
            raise DriverConnectionError("the primary has changed meanwhile")

    def _heard(self, answer: _Answer) -> None:
        """What is news cuts every connection to a former primary."""
        with self._lock:
            if answer.epoch <= self._epoch:
                return
            is_switch, self._epoch, self._epoch_heard_at = self._epoch >= 0, answer.epoch, time.monotonic()
            self._put(answer.sentinel)
        self._cut(answer.epoch - 1)
        if is_switch:
            event(Event.PRIMARY_CHANGED, server=f"{answer.host}:{answer.port}", primary=self.url.primary)

    def _cut(self, last_epoch: int) -> None:
        """The connections that were made in this epoch or before."""
        with self._lock:
            former = [connection for connection, epoch in self._connections.items() if epoch <= last_epoch]
        for connection in former:
            connection.interrupt()

    def _look_at(self, sentinel: str, announced: str) -> None:
        """It has announced something, or may have while nobody listened. The announcement itself holds no epoch."""
        try:
            answer = ask(sentinel, self.url.primary)
        except DRIVER_ERRORS:
            return
        if announced == FAILOVER_BEGINS and answer.is_failing_over:
            with self._lock:
                self._hold = _Hold(sentinel, answer.epoch, time.monotonic() + _HOLD_SECONDS)
                self._put(sentinel)
            self._cut(answer.epoch)
        else:
            self._heard(answer)

    def _is_unused(self) -> bool:
        """True, and the watch is given up, if there is no connection any more."""
        with self._lock:
            if self._connections:
                return False
            self._watch = None
            return True


_known: dict[str, Sentinels] = {}


def _after_fork() -> None:
    for sentinels in _known.values():
        sentinels.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def locate(target: Target) -> Place:
    """Where to connect now. Raises InvalidInput, and the driver's errors if no sentinel answers."""
    url = target.url
    if not is_sentinel_url(url):
        return Place(url)
    sentinels = _known.get(url) or _known.setdefault(url, Sentinels(SentinelUrl.read(url)))
    place = PrimaryPlace(sentinels, sentinels.find())
    target.located(place.url)
    return place


def ask(sentinel: str, primary: str) -> _Answer:
    """One sentinel, once. Raises the driver's errors."""
    wire = make_wire(sentinel, ASK_SECONDS)
    try:
        wire.connect()
        # In a failover, the first has the new address as soon as there is one, the second only at the end.
        address = talk(wire, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary))
        if address is None:
            raise DriverConnectionError(f"the sentinels know no primary named {primary!r}")
        described = talk(wire, ("SENTINEL", "MASTER", primary))
    finally:
        close(wire)
    host, port = cast(tuple[bytes, bytes], address)
    is_old = port == _value(described, b"port") and host == _value(described, b"ip")
    return _Answer(
        sentinel,
        host.decode(),
        int(port),
        epoch=int(_value(described, b"config-epoch") or 0),
        is_failing_over=is_old and b"failover_in_progress" in _value(described, b"flags").split(b","),
    )


def _value(reply: object, name: bytes) -> bytes:
    """Of a map, as RESP2 writes it: names and values in turn; empty if it is not there."""
    items = cast(list[object], reply) if isinstance(reply, list) else []
    found = dict(zip(items[::2], items[1::2], strict=False)).get(name)
    return found if isinstance(found, bytes) else b""


def _unanswered(failures: Sequence[Exception]) -> Exception:
    """One error for all: a user that every sentinel refuses is refused."""
    if failures and all(isinstance(error, AuthenticationError | NoPermissionError) for error in failures):
        return AuthenticationError(f"by its sentinels: {failures[0]}")
    said = dict.fromkeys(str(error) or type(error).__name__ for error in failures)
    return DriverConnectionError(f"no sentinel knows where the primary is: {'; '.join(said)}")
