"""Scripts as tables: a whole state in, one call, the whole state out; on a real server.

A state is a dict from keys (without their prefix) to values, in the form that reads best:

| key | value |
| --- | --- |
| `job:`, `queue:`, `worker:`, `tasks`, `recurring` | a dict of fields |
| `wheel:`, `dead:`, `done:`, `parked:`, `agenda`, `expiring`, `workers`, `occurrences` | a dict: member → score |
| `ready:` | `tickets("a@w1", "b")`: job a is pending at consumer w1, b is not delivered |
| `events` | a list of "event id id" |
| `queues` | a set |
| `unique:` | a text |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


from servers import Server
from tidemill import Tidemill
from tidemill.wire.command import Command
from tidemill.wire.keys import GROUP, Keys
from tidemill.wire.scripts import Scripts

# A round number, so that a script that lets the server write a time as 1.8e+12 is found out.
NOW: Final = 1_800_000_000_000
# As the default retention.
HOUR: Final = 3_600_000

State = dict[str, Any]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Tickets:
    entries: tuple[str, ...]
    group: bool = True


def tickets(*entries: str, group: bool = True) -> Tickets:
    """A ready stream, the tickets that were delivered ("id@consumer") first."""
    return Tickets(entries, group)


def job(state: str, **fields: object) -> dict[str, str]:
    """A record of task t in queue q."""
    return but({"s": state, "q": "q", "t": "t", "c": "7", "b": "body"}, **fields)


def but(record: Fields, **changes: object) -> dict[str, str]:
    """A record with some fields changed; None removes one."""
    merged = {**record, **changes}
    return {name: str(value) for name, value in merged.items() if value is not None}


def after(state: State, changes: State) -> State:
    """A state with some keys changed; None removes one."""
    return {key: value for key, value in {**state, **changes}.items() if value is not None}


@dataclass(frozen=True)
class Case:
    """One row. `name`: a sentence. `call` makes the command; `published`: "channel message" in order."""

    script: str
    name: str
    before: State
    call: Callable[[World], Command[Any]]
    after: State
    reply: object = None
    published: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.script}: {self.name}"


class World:
    """An empty server that a state is written to, a script is called on, and the state read from."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.client
        self._mill = Tidemill(server.url)
        self.scripts: Scripts = self._mill.client.scripts
        self.keys: Keys = self.scripts.keys
        self._listener = self._connect()

    def _connect(self) -> Any:
        pool: Any = self.client.connection_pool
        connection = pool.make_connection()
        connection.connect()
        return connection

    def close(self) -> None:
        self._listener.disconnect()
        self._mill.close()

    def run(self, command: Command[Any]) -> Any:
        return self._mill.client.link.run(command)

    def replace(self, state: State) -> None:
        """Makes this the whole state."""
        self.server.flush()
        for key, value in state.items():
            self.write(key, value)

    # -- writing ------------------------------------------------------------------------------------------------

    def write(self, key: str, value: Any) -> None:
        """Writes one key, whatever it held."""
        name = self.keys.root + key
        self.client.delete(name)
        match value:
            case Tickets():
                self._write_tickets(name, value)
            case str():
                self.client.set(name, value)
            case set():
                self.client.sadd(name, *value)
            case list():
                for entry in value:
                    event, _, jobs = entry.partition(" ")
                    self.client.xadd(name, {"event": event, "jobs": jobs})
            case dict() if _is_zset(key):
                self.client.zadd(name, value)
            case dict():
                self.client.hset(name, mapping={field: _bytes(text) for field, text in value.items()})
            case _:
                raise TypeError(f"{key}: {value!r}")

    def _write_tickets(self, name: str, value: Tickets) -> None:
        for number, entry in enumerate(value.entries, 1):
            self.client.xadd(name, {"j": entry.partition("@")[0]}, id=f"{number}-0")
        if value.group:
            self.client.xgroup_create(name, GROUP, "0", mkstream=True)
        for entry in value.entries:
            job_id, _, consumer = entry.partition("@")
            if consumer:
                ((_, ((_, fields),)),) = self.client.xreadgroup(GROUP, consumer, {name: ">"}, count=1)
                assert fields[b"j"].decode() == job_id, "delivered tickets must come first"

    # -- reading ------------------------------------------------------------------------------------------------

    def entry(self, job_id: str, lane: str = "normal") -> str:
        """The id of the stream entry of a job's ticket."""
        for entry, fields in self.client.xrange(self.keys.ready("q", lane)):
            if fields[b"j"].decode() == job_id:
                return str(entry.decode())
        raise LookupError(job_id)

    def dump(self) -> State:
        """The whole keyspace."""
        names = [name.removeprefix(self.keys.root) for name in self.server.all_keys()]
        return {name: self.read(name) for name in names}

    def read(self, key: str) -> Any:
        name = self.keys.root + key
        match self.client.type(name):
            case b"hash":
                return {field.decode(): _text(value) for field, value in self.client.hgetall(name).items()}
            case b"zset":
                return {member.decode(): int(score) for member, score in self.client.zrange(name, 0, -1, withscores=True)}
            case b"set":
                return {member.decode() for member in self.client.smembers(name)}
            case b"string":
                return _text(self.client.get(name))
            case b"stream" if key == "events":
                return [f"{_text(one[b'event'])} {_text(one[b'jobs'])}" for _, one in self.client.xrange(name)]
            case b"stream":
                return self._read_tickets(name)
            case other:
                raise TypeError(f"{key}: {other!r}")

    def _read_tickets(self, name: str) -> Tickets:
        """A ticket that was delivered and acknowledged, but not deleted, is shown as "id!"; no script may leave one."""
        groups = {group["name"]: group for group in self.client.xinfo_groups(name)}
        if GROUP.encode() not in groups:
            return Tickets(tuple(_text(fields[b"j"]) for _, fields in self.client.xrange(name)), group=False)
        delivered = _order(groups[GROUP.encode()]["last-delivered-id"])
        pending = {
            one["message_id"]: one["consumer"].decode()
            for one in self.client.xpending_range(name, GROUP, "-", "+", 1000)
        }
        found: list[str] = []
        for entry, fields in self.client.xrange(name):
            holder = pending.pop(entry, None)
            suffix = f"@{holder}" if holder else "!" if _order(entry) <= delivered else ""
            found.append(_text(fields[b"j"]) + suffix)
        return Tickets((*found, *(f"(deleted)@{holder}" for holder in pending.values())))

    # -- listening ----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Subscribes to all channels that cases use."""
        channels = [self.keys.alarm, self.keys.control, self.keys.waiter("p1"), self.keys.waiter("p2")]
        self._listener.send_command("SSUBSCRIBE", *channels)
        for _ in channels:
            self._listener.read_response()

    def heard(self) -> tuple[str, ...]:
        """What was published since `listen`. The answer to a PING comes behind all messages."""
        self._listener.send_command("PING")
        found: list[str] = []
        while (message := self._listener.read_response())[0] != b"pong":
            channel, text = message[1].decode(), message[2].decode()
            found.append(f"{channel.removeprefix(self.keys.root)} {text}".strip())
        self._listener.disconnect()
        self._listener.connect()
        return tuple(found)


def _is_zset(key: str) -> bool:
    kind = key.partition(":")[0]
    return kind in ("wheel", "dead", "done", "parked", "agenda", "expiring", "workers", "occurrences")


def _order(entry: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")


def _text(value: bytes) -> str:
    return value.decode("latin-1")
