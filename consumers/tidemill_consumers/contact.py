"""How long a worker goes on without its server.

Every part that talks to the server says whether it was answered. What fails is tried again, on a new connection each
time, so an outage ends by itself. But a process may be unable to come back although the server is there: its password
was changed, its network is gone, its answers come from a server that does not have its jobs. So when one part was not
answered for the deadline, and no job has run in that time, the worker gives up: its process ends with an error, and
whoever runs it (a supervisor, systemd, Kubernetes) starts a new one. Jobs that run go on meanwhile, however long: the
server may be back when they end, and from then on there is the deadline again to settle them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tidemill.errors import ServerUnavailable


class Contact:
    """Calls come from any thread. `give_up` is called once, with the part and an error that says since when."""

    def __init__(
        self, deadline_seconds: float, is_busy: Callable[[], bool], give_up: Callable[[str, BaseException], None]
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._is_busy = is_busy
        self._give_up = give_up
        self._failing_since: dict[str, float] = {}  # monotonic seconds
        self._busy_at = float("-inf")
        self._has_given_up = False
        self._lock = threading.Lock()

    def answered(self, part: str) -> None:
        """Cheap: it is said after each answer."""
        if part in self._failing_since:
            with self._lock:
                self._failing_since.pop(part, None)

    def failed(self, part: str, error: Exception) -> None:
        """It had no answer, or one that does not help; it tries again."""
        now = time.monotonic()
        with self._lock:
            since = self._failing_since.setdefault(part, now)
            if self._is_busy():
                self._busy_at = now
            alone_seconds = now - max(since, self._busy_at)
            if self._has_given_up or alone_seconds < self._deadline_seconds:
                return
            self._has_given_up = True
        reason = f"{part} was not answered by the server for {now - since:.0f} s, and no job runs: {error}"
        self._give_up(part, ServerUnavailable(reason))
