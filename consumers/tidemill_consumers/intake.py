"""How much a worker takes, and from which queues: bounded by what it holds already, and by what is paused.

What it took may turn out to last longer than what came before: jobs that wait too long for a slot are handed back, and
from then on the worker holds no more than what runs. Each job that ends raises this limit by as many as its slot could
start before they would be handed back: with jobs of seconds that is next to nothing, with short ones it is soon gone.
Slots that an adaptive limit adds afterwards are filled at once: one that measures with a quarter of its limit gets the
rest back when it has.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

from tidemill.wire.scripts import Taken
from tidemill_consumers import settings
from tidemill_consumers.concurrency.limiter import Limiter
from tidemill_consumers.pace import Pace

# Tells attempts at one job apart: after a lost lease this process may take a job again that it still runs.
Attempt = tuple[str, str, int]


def attempt_of(taken: Taken) -> Attempt:
    return taken.id, taken.incarnation, taken.attempt


class Intake:
    """Held is what was taken and is not settled; while `is_held_up`, nothing is taken. Calls come from any thread.

    What is being settled takes no room any more: while the server writes that down, the next jobs run.
    """

    def __init__(self, queues: tuple[str, ...], limiter: Limiter, pace: Pace, is_held_up: Callable[[], bool]) -> None:
        self._queues = queues
        self._limiter = limiter
        self._pace = pace
        self._is_held_up = is_held_up
        self._held: dict[Attempt, Taken] = {}
        self._settling = 0
        self._limit = math.inf
        self._slots_then = 0  # the limiter's, when jobs were handed back last
        self._paused: frozenset[str] = frozenset()
        self._stopping = False
        self._changed = threading.Condition()

    def stop(self) -> None:
        """Nothing more is to be taken."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def wait_for_room(self, timeout_seconds: float | None = None) -> int | None:
        """Blocks until there is room for jobs, and returns how many; 0: the worker stops; None: the time is over."""
        with self._changed:
            while not self._stopping:
                most = self._limiter.limit + self._pace.prefetch()
                added = max(0, self._limiter.limit - self._slots_then)
                room = int(min(most, self._limit + added)) - len(self._held) + self._settling
                if room > 0 and not self._is_held_up():
                    return room
                if not self._changed.wait(timeout_seconds):
                    return None
        return 0

    def handed_back(self, count: int) -> None:
        """So many of those that are held are about to be settled without having run."""
        with self._changed:
            self._limit = max(len(self._held) - self._settling - count, 1)
            self._slots_then = self._limiter.limit

    def ran(self, durations_ms: Iterable[float]) -> None:
        """Jobs that took so long have ended."""
        if self._limit == math.inf:
            return
        with self._changed:
            self._limit += sum(settings.HAND_BACK_MS / max(duration_ms, 0.1) for duration_ms in durations_ms)
            if self._limit > self._limiter.limit + settings.MAX_PREFETCH:
                self._limit = math.inf
            self._changed.notify_all()

    def look_again(self) -> None:
        """What keeps it from taking may be over."""
        with self._changed:
            self._changed.notify_all()

    @property
    def queues(self) -> tuple[str, ...]:
        """All, the paused ones too."""
        return self._queues

    def open_queues(self) -> tuple[str, ...]:
        """The queues to read; blocks while all are paused; empty: the worker stops."""
        with self._changed:
            while not self._stopping:
                found = tuple(queue for queue in self._queues if queue not in self._paused)
                if found:
                    return found
                self._changed.wait()
        return ()

    @property
    def paused(self) -> frozenset[str]:
        """The queues that nothing is taken from."""
        return self._paused

    def pause(self, queues: frozenset[str]) -> None:
        """These are paused too."""
        with self._changed:
            self._paused |= queues

    def set_paused(self, queues: frozenset[str]) -> bool:
        """These and no others are paused. True: one that was paused is open again."""
        with self._changed:
            reopened = bool(self._paused - queues)
            self._paused = queues
            if reopened:
                self._changed.notify_all()
        return reopened

    def hold(self, jobs: Iterable[Taken]) -> None:
        with self._changed:
            self._held.update((attempt_of(taken), taken) for taken in jobs)

    def forget(self, jobs: Iterable[Taken]) -> None:
        """These are being handed back: one that comes back at once must not count as held."""
        with self._changed:
            for taken in jobs:
                self._held.pop(attempt_of(taken), None)

    def settling(self, count: int) -> None:
        """So many of those that are held are being settled, until `settled` is called."""
        with self._changed:
            self._settling = count
            self._changed.notify_all()

    def settled(self, jobs: Iterable[Taken]) -> None:
        with self._changed:
            for taken in jobs:
                self._held.pop(attempt_of(taken), None)
            self._settling = 0
            self._changed.notify_all()

    def held_jobs(self, incarnation: str) -> set[str]:
        """The jobs that this incarnation took and has not settled."""
        with self._changed:
            held = list(self._held.values())
        return {taken.id for taken in held if taken.incarnation == incarnation}

    def held_entries(self, incarnation: str) -> set[tuple[str, int, str]]:
        """The tickets (queue, lane, entry) of what this incarnation took and has not settled."""
        with self._changed:
            held = list(self._held.values())
        return {(taken.queue, taken.lane, taken.entry) for taken in held if taken.incarnation == incarnation}
