"""Scripts as tables: a whole state in, one call, the whole state out; on a real server.

A state is a dict from keys (without their prefix) to values, in the form that reads best:

| key | value |
| --- | --- |
| `job:`, `queue:`, `worker:`, `tasks`, `limits`, `recurring` | a dict of fields |
| `wheel:`, `dead:`, `done:`, `parked:`, `agenda`, `expiring`, `workers`, `watched`, … | a dict: member → score |
| `ready:` | `tickets("a@w1", "b")`: job a is pending at consumer w1, b is not delivered |
| `events` | a list of "event id id" |
| `audit` | a list of "action, at, by, reason, operation, filter, jobs" |
| `queues`, `templates` | a set |
| `breakers`, `versions:`, `retired:`, `hot:` | as `wheel:` |
| `unique:`, `limit:`, `content:` | a text |
| `once:`, `breaker:`, `template:`, `hits:` | a dict of fields |
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from servers import Server
from tidemill import Tidemill
from tidemill.errors import RemoteError
from tidemill.wire import record
from tidemill.wire.command import Command
from tidemill.wire.keys import GROUP, TYPES, Keys
from tidemill.wire.scripts import Scripts

# A round number, so that a script that lets the server write a time as 1.8e+12 is found out.
NOW: Final = 1_800_000_000_000
# As the default retention.
HOUR: Final = 3_600_000
_AUDIT_FIELDS: Final = ("action", "at", "by", "reason", "operation", "filter", "jobs")

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


def but(fields: Fields, **changes: object) -> dict[str, str]:
    """A record with some fields changed; None removes one."""
    merged = {**fields, **changes}
    return {name: str(value) for name, value in merged.items() if value is not None}


def after(state: State, changes: State) -> State:
    """A state with some keys changed; None removes one."""
    return {key: value for key, value in {**state, **changes}.items() if value is not None}


def without_place(state: State) -> set[str]:
    """Jobs that nobody would find: scheduled but in no wheel, ready without a ticket or a place in line, running
    without a pending one; a place in another queue does not count."""
    found = set[tuple[str, str]]()
    for key, value in state.items():
        if key.startswith("tenant:"):
            found |= {(key.split(":")[1], name) for name in value}
        if key.startswith("ready:") and isinstance(value, Tickets):
            queue = key.split(":")[1]
            found |= {(queue, entry) for entry in value.entries}
            found |= {(queue, entry.partition("@")[0]) for entry in value.entries}
    lost: set[str] = set()
    for key, value in state.items():
        name = key.removeprefix("job:")
        match value:
            case {"s": "scheduled", "q": str(queue)} if name not in state.get(f"wheel:{queue}", {}):
                lost.add(name)
            case {"s": "ready", "q": str(queue)} if (queue, name) not in found:
                lost.add(name)
            case {"s": "running", "q": str(queue), "l": str(holder)} if (queue, f"{name}@{holder}") not in found:
                lost.add(name)
            case _:
                pass
    return lost


@dataclass(frozen=True)
class Case:
    """One row. `name`: a sentence. `call` makes the command; `published`: "channel message" in order."""

    script: str
    name: str
    before: State
    call: Call
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
        self._listener: Any = self.client.connection_pool.get_connection()

    def close(self) -> None:
        self._listener.disconnect()  # its subscriptions end with it
        self.client.connection_pool.release(self._listener)
        self._mill.close()

    def run(self, command: Command[Any]) -> Any:
        return self._mill.client.link.run(command)

    @contextmanager
    def without_memory(self) -> Generator[None]:
        """The server has reached its `maxmemory`: it refuses whatever could need more."""
        limit = self.client.config_get("maxmemory")["maxmemory"]
        self.client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.client.config_set("maxmemory", limit)

    def replace(self, state: State) -> None:
        """Makes this the whole state."""
        self.server.flush()
        for key, value in state.items():
            self.write(key, value)

    # -- writing ------------------------------------------------------------------------------------------------

    def write(self, key: str, value: Any) -> None:
        """Writes one key, whatever it held; None deletes it."""
        name = self.keys.root + key
        self.client.delete(name)
        if isinstance(value, Tickets):
            self._write_tickets(name, value)
        elif isinstance(value, str):
            self.client.set(name, value)
        elif isinstance(value, set):
            self.client.sadd(name, *value)
        elif value is None:
            return
        elif key == "events":
            for entry in value:
                event, _, jobs = entry.partition(" ")
                self.client.xadd(name, {"event": event, "jobs": jobs})
        elif key == "audit":
            for entry in value:
                self.client.xadd(name, dict(zip(_AUDIT_FIELDS, entry.split(", "), strict=True)))
        elif _is_zset(key):
            self.client.zadd(name, value)
        else:
            self.client.hset(name, mapping={field: _writable(field, text) for field, text in value.items()})

    def write_foreign(self, key: str) -> None:
        """Writes a type that the key never has, as another program might."""
        name = self.keys.root + key
        self.client.delete(name)
        self.client.rpush(name, "foreign")

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
        found = {name: self.read(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def read(self, key: str) -> Any:
        name = self.keys.root + key
        readers: dict[bytes, Callable[[str], Any]] = {
            b"hash": self._read_hash,
            b"zset": lambda name: {
                _text(one): due if due % 1 else int(due)
                for one, due in self.client.zrange(name, 0, -1, withscores=True)
            },
            b"set": lambda name: {_text(member) for member in self.client.smembers(name)},
            b"string": lambda name: _text(self.client.get(name)),
            b"stream": {"events": self._read_events, "audit": self._read_audit}.get(key, self._read_tickets),
            b"list": lambda _: "foreign",
            b"none": lambda _: None,  # it has come to its end since its name was read
        }
        return readers[self.client.type(name)](name)

    def _read_hash(self, name: str) -> dict[str, str]:
        return {_text(field): _readable(field, value) for field, value in self.client.hgetall(name).items()}

    def _read_events(self, name: str) -> list[str]:
        return [f"{_text(one[b'event'])} {_text(one[b'jobs'])}" for _, one in self.client.xrange(name)]

    def _read_audit(self, name: str) -> list[str]:
        entries = self.client.xrange(name)
        return [", ".join(_text(one[field.encode()]) for field in _AUDIT_FIELDS) for _, one in entries]

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
        channels = [
            self.keys.alarm,
            self.keys.control,
            self.keys.breakers,
            self.keys.templates,
            self.keys.waiter("p1"),
            self.keys.waiter("p2"),
        ]
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
        self._listener.disconnect()  # its subscriptions end with it
        return tuple(found)


def _is_zset(key: str) -> bool:
    return TYPES.get(next((name for name in TYPES if name.partition(":")[0] == key.partition(":")[0]), "")) == "zset"


def _writable(field: str, text: str) -> bytes:
    """The reverse of `_readable`."""
    kind, colon, message = text.partition(": ")
    if field == "e" and colon:
        return record.write_error(RemoteError(kind, message, "trace"))
    return _bytes(text)


def _readable(field: bytes, value: bytes) -> str:
    """An error that a script has packed, as "type: message"; other values as they are."""
    if field == b"e" and value.startswith(b"\x83"):
        error = record.read_error(value)
        assert error is not None
        return f"{error.type}: {error.message}"
    return _text(value)


def _order(entry: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")


def _text(value: bytes) -> str:
    return value.decode("latin-1")


Call = Callable[[World], Command[Any]]
"""Makes a script's call in a world."""
