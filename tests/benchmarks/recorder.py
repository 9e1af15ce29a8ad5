"""What a benchmarked job does: it notes its number and the time. The same in every system that is measured.

A thread of its own writes the notes to a file, so that nothing depends on how a worker ends, and a job costs one
append.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from pathlib import Path
from typing import Final, NamedTuple

DIRECTORY_VARIABLE: Final = "BENCH_DIRECTORY"
# Often enough that the end of a run is seen at once; 20 writes a second do not disturb it.
WRITE_SECONDS: Final = 0.05
WORDS: Final = 2
BYTES_PER_START: Final = WORDS * 8


class Start(NamedTuple):
    """A job that ran: its number in the run, and when it started, in ns of unix time."""

    number: int
    at_ns: int


_rows: list[tuple[int, int]] = []
_lock = threading.Lock()
_is_writing = False


def note(number: int) -> None:
    """Notes that this job starts now."""
    note_at(number, time.time_ns())


def note_at(number: int, at_ns: int) -> None:
    """As `note`, for a time of which the caller knows."""
    _rows.append((number, at_ns))
    if not _is_writing:
        _begin_writing()


def _begin_writing() -> None:
    """Once a process, at its first job."""
    global _is_writing  # noqa: PLW0603 - there is one process
    with _lock:
        if not _is_writing:
            _is_writing = True
            threading.Thread(target=_write, name="bench-recorder", daemon=True).start()


def _forget() -> None:
    """In a process that was forked: the notes are its parent's, which writes them."""
    global _is_writing, _lock
    _is_writing, _lock = False, threading.Lock()
    _rows.clear()


os.register_at_fork(after_in_child=_forget)


def _write() -> None:
    path = Path(os.environ[DIRECTORY_VARIABLE]) / f"{os.getpid()}.starts"
    pause = threading.Event()
    with path.open("ab", buffering=0) as file:
        while True:
            count = len(_rows)
            file.write(array("q", [word for row in _rows[:count] for word in row]).tobytes())
            del _rows[:count]
            pause.wait(WRITE_SECONDS)


def count(directory: Path) -> int:
    """How many starts all processes have written."""
    return sum(path.stat().st_size for path in directory.glob("*.starts")) // BYTES_PER_START


def read(directory: Path) -> list[Start]:
    """The starts that all processes have written."""
    words = array("q")
    for path in directory.glob("*.starts"):
        data = path.read_bytes()
        words.frombytes(data[: len(data) - len(data) % BYTES_PER_START])
    return [Start(*pair) for pair in zip(words[::2], words[1::2], strict=True)]
