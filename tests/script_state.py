"""Scripts as tables: a whole state in, one call, the whole state out; on a real server.

How a state is written and read is in `keyspace`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from keyspace import Keyspace, State, Tickets
from servers import Server
from tidemill import Tidemill
from tidemill.wire.command import Command
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import Scripts

__all__ = [
    "HOUR",
    "NOW",
    "Call",
    "Case",
    "Fields",
    "State",
    "Tickets",
    "World",
    "after",
    "but",
    "job",
    "tickets",
    "without_place",
]

# A round number, so that a script that lets the server write a time as 1.8e+12 is found out.
NOW: Final = 1_800_000_000_000
# As the default retention.
HOUR: Final = 3_600_000

Fields = Mapping[str, Any]


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
        self._keyspace = Keyspace(server, self.keys.root)
        self._listener: Any = None

    def close(self) -> None:
        if self._listener is not None:
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
        self._keyspace.replace(state)

    def write(self, key: str, value: Any) -> None:
        """Writes one key, whatever it held; None deletes it."""
        self._keyspace.write(key, value)

    def write_foreign(self, key: str) -> None:
        """Writes a type that the key never has, as another program might."""
        self._keyspace.write_foreign(key)

    def dump(self) -> State:
        """The whole state."""
        return self._keyspace.dump()

    def read(self, key: str) -> Any:
        """One key; None: it is not there."""
        return self._keyspace.read(key)

    def entry(self, job_id: str, lane: str = "normal") -> str:
        """The id of the stream entry of a job's ticket."""
        for entry, fields in self.client.xrange(self.keys.ready("q", lane)):
            if fields[b"j"].decode() == job_id:
                return str(entry.decode())
        raise LookupError(job_id)

    # -- listening ----------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """To all channels that cases use, from now on."""
        if self._listener is None:
            self._listener = self._subscribed()
        self.heard()

    def _subscribed(self) -> Any:
        channels = [
            self.keys.alarm,
            self.keys.control,
            self.keys.breakers,
            self.keys.templates,
            self.keys.waiter("p1"),
            self.keys.waiter("p2"),
        ]
        listener = self.client.connection_pool.get_connection()
        listener.send_command("SSUBSCRIBE", *channels)
        for _ in channels:
            listener.read_response()
        return listener

    def heard(self) -> tuple[str, ...]:
        """What was published since `listen`. The answer to a PING comes behind all messages."""
        self._listener.send_command("PING")
        found: list[str] = []
        while (message := self._listener.read_response())[0] != b"pong":
            channel, text = message[1].decode(), message[2].decode()
            found.append(f"{channel.removeprefix(self.keys.root)} {text}".strip())
        return tuple(found)


Call = Callable[[World], Command[Any]]
"""Makes a script's call in a world."""
