"""Waiting for a condition, the only way in which a test waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """The condition's first true answer; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        pause.wait(0.005)


def eventually_each(things: Iterable[T], condition: Callable[[T], object], what: str, seconds: float = 20.0) -> None:
    """`eventually` for one after the other; each has so many seconds."""
    for thing in things:
        eventually(partial(condition, thing), f"{what}: {thing}", seconds)
