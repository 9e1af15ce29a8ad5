"""The record of a job: the fields of the hash `job:<id>`, and how they are read.

Field names are short because a record is held for every queued job, and because a hash with short values stays one
compact allocation. This table is their meaning; `tidemill jobs show` prints them by name.

| field | what |
| --- | --- |
| `s` | state: scheduled, ready, running, succeeded, dead, cancelled, expired |
| `q` `t` `p` | queue, task, priority (absent: normal) |
| `b` `b1` `b2` `b3` | the arguments (msgpack), in parts of 60 bytes when they are short |
| `o` | options that differ from the task's (msgpack): retry, timeout, critical |
| `c` `d` `j` `f` | times in ms: created, due (if it was ever delayed), started, finished |
| `n` | expires: not to be started after this time, ms |
| `z` | result ttl, ms (absent: the worker's default) |
| `a` | attempt: raised by every take, never lowered; half of the fence |
| `v` | how many of these did not count: handed back, parked, recovered |
| `l` | lease: the incarnation that took it last; the other half of the fence |
| `k` | crash count: how often its worker died while it ran |
| `h` | it has crashed before, and waits in its worker to start: that worker's death is not its own |
| `li` | its limits, and what it takes of each: see `lua/lib/limits.lua` |
| `i` | when it first came to a limit that made it wait (ms·1000 + n): its turn in the line |
| `u` | digest of its unique key |
| `te` | digest of its tenant; `-`: none, in a queue that has seen one |
| `x` | cancel requested |
| `y` | why it is parked, or what it waits for |
| `w` | who waits for it |
| `g` | trace parent (W3C) |
| `m` | progress (msgpack: fraction, text) |
| `r` | result (msgpack; absent: None) |
| `e` | last error (msgpack: type, message, traceback; fallback: why its next attempt is only for the task's fallback) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.errors import CorruptRecord, RemoteError
from tidemill.wire import envelope


@dataclass(frozen=True, slots=True)
class Record:
    """A job as Redis holds it. Times are unix milliseconds of the server's clock; 0 means never."""

    id: str
    state: str
    queue: str
    task: str
    priority: str
    body: bytes
    options: bytes
    attempt: int
    uncounted: int
    crashes: int
    created_ms: int
    due_ms: int
    started_ms: int
    finished_ms: int
    expires_ms: int
    lease: str
    cancel_requested: bool
    parked: str
    tenant: str
    progress: tuple[float, str] | None
    result: bytes
    error: RemoteError | None


def from_hash(job_id: str, fields: Mapping[bytes, bytes]) -> Record:
    """Reads HGETALL's answer. Raises CorruptRecord with the field that no Tidemill wrote."""

    def text(name: bytes, default: str = "") -> str:
        try:
            return fields.get(name, default.encode()).decode()
        except UnicodeDecodeError as error:
            raise CorruptRecord(f"job {job_id}: field {name.decode()!r} is not text") from error

    def number(name: bytes) -> int:
        try:
            return int(fields.get(name, b"0"))
        except ValueError as error:
            seen = fields[name][:40]
            raise CorruptRecord(f"job {job_id}: field {name.decode()!r} is no number: {seen!r}") from error

    return Record(
        id=job_id,
        state=text(b"s"),
        queue=text(b"q"),
        task=text(b"t"),
        priority=text(b"p", "normal"),
        body=b"".join(fields.get(part, b"") for part in (b"b", b"b1", b"b2", b"b3")),
        options=fields.get(b"o", b""),
        attempt=number(b"a"),
        uncounted=number(b"v"),
        crashes=number(b"k"),
        created_ms=number(b"c"),
        due_ms=number(b"d"),
        started_ms=number(b"j"),
        finished_ms=number(b"f"),
        expires_ms=number(b"n"),
        lease=text(b"l"),
        cancel_requested=b"x" in fields,
        parked=text(b"y"),
        tenant=text(b"te"),
        progress=read_progress(fields.get(b"m", b"")),
        result=fields.get(b"r", b""),
        error=read_error(fields.get(b"e", b"")),
    )


def read_error(data: bytes) -> RemoteError | None:
    """The error field; b"" means none."""
    match envelope.unpack(data) if data else None:
        case None:
            return None
        case {"type": str(kind), "message": str(message), "traceback": str(traceback)}:
            return RemoteError(kind, message, traceback)
        case other:
            raise CorruptRecord(f"an error field holds {type(other).__name__}, not type, message, traceback")


def write_error(error: RemoteError, fallback: str = "") -> bytes:
    """`fallback`: why the next attempt is only for the task's fallback. Workers that don't know it read the rest."""
    fields = {"type": error.type, "message": error.message, "traceback": error.traceback}
    return envelope.pack({**fields, "fallback": fallback} if fallback else fields)


def read_fallback(data: bytes) -> str:
    """Why this attempt is only for the task's fallback; "": it is not."""
    try:
        found = envelope.unpack(data) if data else None
    except CorruptRecord:  # a foreign hand's: it says nothing
        return ""
    match found:
        case {"fallback": str(why)}:
            return why
        case _:
            return ""


def read_progress(data: bytes) -> tuple[float, str] | None:
    """The progress field; b"" means none."""
    match envelope.unpack(data) if data else None:
        case None:
            return None
        case [float(fraction), str(text)]:
            return fraction, text
        case other:
            raise CorruptRecord(f"a progress field holds {type(other).__name__}, not fraction, text")


def write_progress(fraction: float, text: str) -> bytes:
    return envelope.pack([float(fraction), text])
