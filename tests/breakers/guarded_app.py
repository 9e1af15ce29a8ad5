"""An application whose jobs call a dependency through a breaker. The dependency is a directory: it is down while there
is a file `down` in it, and notes each call in `calls`."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tidemill import Tidemill, current_job

mill = Tidemill()
RESET_SECONDS = 1.0
BREAKER = mill.breaker("pay", fail_max=2, reset_timeout=RESET_SECONDS, half_open_max=1, exclude=[KeyError])


class Down(Exception):
    """What a call to a dependency that is down raises."""


def dependency(directory: str) -> int:
    """One call of it. Returns the process that has made it."""
    place = Path(directory)
    with (place / "calls").open("a", encoding="utf-8") as calls:
        calls.write(f"{os.getpid()} {current_job().id} {current_job().attempt}\n")
    if (place / "down").exists():
        raise Down(directory)
    return os.getpid()


@mill.task(breaker=BREAKER)
def on_thread(directory: str) -> int:
    return dependency(directory)


@mill.task(breaker="pay")
async def on_loop(directory: str) -> int:
    return dependency(directory)


@mill.task(breaker="pay", executor="process")
def in_child(directory: str) -> int:
    return dependency(directory)


@mill.task(executor="process")
def block_in_child(directory: str) -> int:
    with BREAKER:
        return dependency(directory)


@mill.task(breaker="pay", executor="process")
def excluded_in_child() -> None:
    raise KeyError("the dependency has answered that there is none")


@mill.task(breaker="pay")
def slow_probe(directory: str) -> int:
    """Holds its permit while there is a file `hold`."""
    found = dependency(directory)
    pause = threading.Event()
    while (Path(directory) / "hold").exists():
        pause.wait(0.01)
    return found


@mill.task(breaker="pay")
def meets_it(directory: str) -> int:
    """A long job that calls in between: by then the breaker may be open."""
    pause = threading.Event()
    while (Path(directory) / "hold").exists():
        pause.wait(0.01)
    with BREAKER:
        return dependency(directory)


def without_it(directory: str) -> int:
    return -1 if directory else -2


@mill.task(breaker="pay", fallback=without_it)
def with_fallback(directory: str) -> int:
    return dependency(directory)


@mill.task()
def other() -> str:
    return "other"
