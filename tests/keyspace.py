"""A whole state, written to a server and read from it; each in a few round trips, since tests do it thousands of times.

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

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from servers import Server
from tidemill.errors import RemoteError
from tidemill.wire import record
from tidemill.wire.keys import GROUP, TYPES

State = dict[str, Any]

_AUDIT_FIELDS: Final = ("action", "at", "by", "reason", "operation", "filter", "jobs")


@dataclass(frozen=True)
class Tickets:
    entries: tuple[str, ...]
    group: bool = True


class Keyspace:
    """All keys of a server; `root`: their prefix."""

    def __init__(self, server: Server, root: str) -> None:
        self._server = server
        self._client = server.client
        self._root = root

    # -- writing ------------------------------------------------------------------------------------------------

    def replace(self, state: State) -> None:
        """Makes this the whole state."""
        pipe = self._client.pipeline(transaction=False)
        pipe.flushall()
        for key, value in state.items():
            self._write(pipe, key, value)
        pipe.execute()

    def write(self, key: str, value: Any) -> None:
        """Writes one key, whatever it held; None deletes it."""
        pipe = self._client.pipeline(transaction=False)
        pipe.delete(self._root + key)
        if value is not None:
            self._write(pipe, key, value)
        pipe.execute()

    def write_foreign(self, key: str) -> None:
        """Writes a type that the key never has, as another program might."""
        name = self._root + key
        self._client.delete(name)
        self._client.rpush(name, "foreign")

    def _write(self, pipe: Any, key: str, value: Any) -> None:
        name = self._root + key
        if isinstance(value, Tickets):
            _write_tickets(pipe, name, value)
        elif isinstance(value, str):
            pipe.set(name, value)
        elif isinstance(value, set):
            pipe.sadd(name, *value)
        elif key == "events":
            for entry in value:
                event, _, jobs = entry.partition(" ")
                pipe.xadd(name, {"event": event, "jobs": jobs})
        elif key == "audit":
            for entry in value:
                pipe.xadd(name, dict(zip(_AUDIT_FIELDS, entry.split(", "), strict=True)))
        elif _is_zset(key):
            pipe.zadd(name, value)
        else:
            pipe.hset(name, mapping={field: _writable(field, text) for field, text in value.items()})

    # -- reading ------------------------------------------------------------------------------------------------

    def dump(self) -> State:
        """All keys."""
        return self._read([name.removeprefix(self._root) for name in self._server.all_keys()])

    def read(self, key: str) -> Any:
        """One key; None: it is not there."""
        return self._read([key]).get(key)

    def _read(self, keys: list[str]) -> State:
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.type(self._root + key)
        # Others have come to their end since their names were read.
        forms = {key: _FORMS[kind] for key, kind in zip(keys, pipe.execute(), strict=True) if kind in _FORMS}
        for key, form in forms.items():
            for method, *more in form.questions:
                getattr(pipe, method)(self._root + key, *more)
        answers = iter(pipe.execute(raise_on_error=False))  # a stream without the group has nothing pending
        return {key: form.shape(key, *islice(answers, len(form.questions))) for key, form in forms.items()}


class _Form(NamedTuple):
    """How keys of one type are read: the questions (the client's method, and what follows the name), and what is made
    of the key and the answers."""

    questions: tuple[tuple[Any, ...], ...]
    shape: Callable[..., Any]


def _hash(_: str, fields: dict[bytes, bytes]) -> dict[str, str]:
    return {_text(field): _readable(field, value) for field, value in fields.items()}


def _zset(_: str, members: list[tuple[bytes, float]]) -> dict[str, float]:
    return {_text(one): due if due % 1 else int(due) for one, due in members}


def _stream(key: str, entries: Any, groups: Any, pending: Any) -> Any:
    if key == "events":
        return [f"{_text(one[b'event'])} {_text(one[b'jobs'])}" for _, one in entries]
    if key == "audit":
        return [", ".join(_text(one[field.encode()]) for field in _AUDIT_FIELDS) for _, one in entries]
    return _tickets(entries, {group["name"]: group for group in groups}.get(GROUP.encode()), pending)


def _tickets(entries: Any, group: Any, pending: Any) -> Tickets:
    """A ticket that was delivered and acknowledged, but not deleted, is shown as "id!"; no script may leave one."""
    if group is None:
        return Tickets(tuple(_text(fields[b"j"]) for _, fields in entries), group=False)
    delivered = _order(group["last-delivered-id"])
    holders = {one["message_id"]: one["consumer"].decode() for one in pending}
    found: list[str] = []
    for entry, fields in entries:
        holder = holders.pop(entry, None)
        suffix = f"@{holder}" if holder else "!" if _order(entry) <= delivered else ""
        found.append(_text(fields[b"j"]) + suffix)
    return Tickets((*found, *(f"(deleted)@{holder}" for holder in holders.values())))


def _set(_: str, members: set[bytes]) -> set[str]:
    return {_text(one) for one in members}


def _string(_: str, value: bytes) -> str:
    return _text(value)


def _list(_: str) -> str:
    return "foreign"


_STREAM = (("xrange",), ("xinfo_groups",), ("xpending_range", GROUP, "-", "+", 1000))
_FORMS: Final[dict[bytes, _Form]] = {
    b"hash": _Form((("hgetall",),), _hash),
    b"zset": _Form((("zrange", 0, -1, False, True),), _zset),
    b"set": _Form((("smembers",),), _set),
    b"string": _Form((("get",),), _string),
    b"stream": _Form(_STREAM, _stream),
    b"list": _Form((), _list),
}


def _write_tickets(pipe: Any, name: str, value: Tickets) -> None:
    holders = [entry.partition("@")[2] for entry in value.entries]
    assert holders == sorted(holders, key=lambda holder: not holder), "delivered tickets must come first"
    for number, entry in enumerate(value.entries, 1):
        pipe.xadd(name, {"j": entry.partition("@")[0]}, id=f"{number}-0")
    if value.group:
        pipe.xgroup_create(name, GROUP, "0", mkstream=True)
    for holder in filter(None, holders):
        pipe.xreadgroup(GROUP, holder, {name: ">"}, count=1)


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
