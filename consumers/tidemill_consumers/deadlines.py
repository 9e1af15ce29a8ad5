"""Stops runs whose timeout is over: one thread and one heap, however many there are."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from tidemill_consumers.run import Run


class Deadlines:
    def __init__(self, on_timeout: Callable[[Run], None]) -> None:
        self._on_timeout = on_timeout
        self._heap: list[tuple[float, int, Run]] = []
        self._order = itertools.count()  # runs can't be compared
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, run: Run) -> None:
        """Counts from now. A run that ends before its time is skipped when its time comes."""
        if run.timeout_ms is None:
            return
        due = time.monotonic() + run.timeout_ms / 1000
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="tidemill-deadlines", daemon=True)
                self._thread.start()
            heapq.heappush(self._heap, (due, next(self._order), run))
            if self._heap[0][2] is run:
                self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                left = self._heap[0][0] - time.monotonic() if self._heap else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                run = heapq.heappop(self._heap)[2]
            self._on_timeout(run)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
