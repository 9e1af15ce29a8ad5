"""The history of a chaos run: who asked for what, what was answered, what ran where, and which fault came when.

Each process appends to a file of its own: a JSON object a line, written at once and shorter than 4 kB, so that one that
is killed leaves whole lines, and half a line at most, which the reader drops. What is asked for is written before the
call, what came of it afterwards (as Jepsen does: invoke, then ok, fail or info; info: the outcome is not known).

| op | written by | fields |
| --- | --- | --- |
| `enqueue` | producers | `type` invoke, ok, fail or info; `job`, `kind` and what the kind is told; `why` of a failure |
| `batch` | producers | as `enqueue`, for enqueue_many: `batch`, on ok `jobs` |
| `cancel` | producers | `type`, `job`; on ok `state` |
| `start` `end` | jobs | `job`, `inc`, `attempt` (these two: the fence), `tries`; on end `outcome` |
| `effect` | jobs | `job`, `first`: this execution made the effect, and not one before it |
| `die` | jobs | `job`: it kills its process now |
| `fault` | nemesis | `kind`, `target`: the process that it hits, None: all; `seconds`: so long it lasts |
| `healed` | nemesis | no fault is under way from now on |
| `spawn` `exit` | fleet | `target`, `pid`, `code` |
| `event` | follower | `event`, `jobs`, `entry`: what the server's event stream said |
| `renewal` | follower | `renewed`: when these incarnations have renewed their leases last, in unix seconds |
| `record` `counter` | census | what the server holds at the end |

`t` is unix seconds (one machine, one clock), `proc` the process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

Line = dict[str, Any]

# What write(2) appends in one piece, also when the process is killed meanwhile.
MAX_LINE_BYTES: Final = 4_096


class Recorder:
    """Appends to the history, from any thread."""

    def __init__(self, directory: Path, process: str) -> None:
        self._process = process
        path = directory / f"{process}.{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, op: str, **fields: object) -> None:
        line = json.dumps({"t": time.time(), "proc": self._process, "op": op, **fields}, separators=(",", ":"))
        data = line.encode() + b"\n"
        assert len(data) < MAX_LINE_BYTES, f"a line of {len(data)} bytes may be torn: {line[:200]}"
        os.write(self._file, data)

    def close(self) -> None:
        os.close(self._file)


def read(directory: Path) -> list[Line]:
    """All whole lines of all processes, by time."""
    found: list[Line] = []
    for path in sorted(directory.glob("*.jsonl")):
        found += lines_of(path.read_bytes())
    found.sort(key=lambda line: line["t"])
    return found


def lines_of(data: bytes) -> Iterable[Line]:
    """The whole lines of a file; what a killed process has left behind the last line break is dropped."""
    for line in data.split(b"\n")[:-1]:
        yield json.loads(line)
