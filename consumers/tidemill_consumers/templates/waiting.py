"""Runs that wait for their version. Each leaves once: with its version, with an outcome, or withdrawn."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tidemill_consumers.run import Run


class WaitingRuns:
    """Calls come from any thread."""

    def __init__(self) -> None:
        self._runs: dict[Run, None] = {}  # a set in order
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run] = None

    def all(self) -> list[Run]:
        with self._lock:
            return list(self._runs)

    def remove(self, run: Run) -> bool:
        """False: somebody else has."""
        with self._lock:
            if run not in self._runs:
                return False
            del self._runs[run]
            return True

    def withdraw(self, is_meant: Callable[[Run], bool] = lambda _: True) -> list[Run]:
        """Removes these, and returns them."""
        with self._lock:
            withdrawn = [run for run in self._runs if is_meant(run)]
            for run in withdrawn:
                del self._runs[run]
            return withdrawn
