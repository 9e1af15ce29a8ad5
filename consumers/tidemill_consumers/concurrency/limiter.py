"""What an algorithm that limits concurrency is told, and what it says.

An algorithm is a pure function of what it is told, the time included: so the simulation and the worker run the same
code, and a test is a table of samples and limits.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

# An adaptive limit begins here, below its upper bound: what a fixed one has by default.
INITIAL_LIMIT: Final = 20


class Sample(NamedTuple):
    """A run that has ended.

    Args:
        now: when, in seconds of a clock that only goes forward.
        seconds: how long it ran; what it waited for a slot does not count.
        running: how many ran when it ended, itself included.
        failed: it raised. How long that took says nothing about the load.
        dropped: its timeout ended it. That counts as a response time: it was at least as long.
        may_grow: memory and event loop allow a higher limit than the current one.
    """

    now: float
    seconds: float
    running: int
    failed: bool = False
    dropped: bool = False
    may_grow: bool = True

    @property
    def is_response(self) -> bool:
        """Does its duration say how fast the work is done at this concurrency?"""
        return self.dropped or not self.failed


class Limiter(Protocol):
    """Calls come one at a time."""

    @property
    def limit(self) -> int:
        """How many jobs may run at once; at least 1, at most the upper bound that it was made with."""
        ...

    @property
    def queue_bound(self) -> int | None:
        """How many jobs may be held beyond those that run; None: only the pace decides."""
        ...

    def observe(self, sample: Sample) -> None:
        """A run has ended: `limit` may be another one afterwards."""
        ...


class FixedLimit:
    """The limit that was chosen. A worker with it measures nothing."""

    def __init__(self, most: int) -> None:
        self.limit: Final = most
        self.queue_bound: Final[int | None] = None

    def observe(self, sample: Sample) -> None:
        """Nothing changes."""
