"""Stops runs whose timeout is over: one thread and one heap, however many there are."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

from tidemill_consumers.background import background
from tidemill_consumers.run import Run

# Runs that ended before their time stay in the heap until it has doubled, but a small heap is not worth a look: with
# short jobs and long timeouts it would grow without end otherwise.
_LEAST_SWEPT: Final = 1_024


class Deadlines:
    def __init__(self, on_timeout: Callable[[Run], None], failed: Callable[[str, BaseException], None]) -> None:
        self._on_timeout = on_timeout
        self._heap: list[tuple[float, int, Run]] = []
        self._order = itertools.count()  # runs can't be compared
        self._sweep_at = _LEAST_SWEPT
        self._changed = threading.Condition()
        self._thread = background("deadlines", self._watch, failed)
        self._closed = False

    def __len__(self) -> int:
        """Entries in the heap."""
        return len(self._heap)

    def first(self) -> float | None:
        """When the first of the runs in this process is over its timeout, in monotonic seconds; None: none has one."""
        with self._changed:
            return min((due for due, _, run in self._heap if not run.is_over and run.is_here), default=None)

    def start(self) -> None:
        self._thread.start()

    def add(self, run: Run) -> bool:
        """Counts from now. A run that ends before its time is skipped when its time comes. True: it is the first."""
        if run.timeout_ms is None:
            return False
        due = time.monotonic() + run.timeout_ms / 1000
        with self._changed:
            if len(self._heap) >= self._sweep_at:
                self._sweep()
            heapq.heappush(self._heap, (due, next(self._order), run))
            is_first = self._heap[0][2] is run
            if is_first:
                self._changed.notify()
            return is_first

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if not entry[2].is_over]
        heapq.heapify(self._heap)
        self._sweep_at = max(_LEAST_SWEPT, 2 * len(self._heap))

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                left = self._heap[0][0] - time.monotonic() if self._heap else None
                if left is None or left > 0:
                    # A lock can't wait longer than this many seconds; it looks again then.
                    self._changed.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
                    continue
                run = heapq.heappop(self._heap)[2]
            self._on_timeout(run)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(1)
