"""A worker among the others: under which name the server knows it, and what it says of itself there.

The name, its incarnation, is new with each start and after each lost lease. What was delivered to a former name goes on
to other workers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from tidemill.app import Tidemill
from tidemill.connection import Link
from tidemill.errors import QueueFull
from tidemill.ids import new_id
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings

# A page of what is handed on when a worker leaves.
_HAND_ON_PAGE: Final = 1_000
# Leaving is no crash: what is handed on then is never buried.
_NO_BURIAL: Final = 1_000_000


class Membership:
    """Calls come from any thread."""

    def __init__(self, mill: Tidemill, worker_settings: WorkerSettings, queues: Sequence[str], link: Link) -> None:
        self.incarnation = new_id()
        self._mill = mill
        self._settings = worker_settings
        self._queues = queues
        self._link = link
        self._scripts = mill.client.scripts
        self._tasks = dict(mill.tasks)
        self._is_published = False
        self._succeeding = threading.Lock()

    def register(self) -> None:
        """Says which incarnation this is, makes what is missing of its queues, and publishes recurring jobs."""
        self._register(self.incarnation)

    def renewed(self, *, is_described: bool) -> None:
        """The lease was renewed. What the server does not have of this worker is said again."""
        if not is_described:
            self.register()
        if not self._is_published:
            self._publish()

    def succeed(self, incarnation: str, is_gone: Callable[[str], None]) -> bool:
        """A new incarnation takes the place of this one; `is_gone` is told first. False: one has already."""
        with self._succeeding:
            if incarnation != self.incarnation:
                return False
            is_gone(incarnation)
            successor = new_id()
            self._register(successor)
            self.incarnation = successor
        return True

    def adopt(self) -> None:
        """Makes due what was parked since no worker knew its task."""
        for name, task in self._tasks.items():
            if task.breaker is not None:
                continue  # its parked jobs are the guards'
            while self._link.run(self._scripts.adopt(name, settings.ADOPT_PAGE)) == settings.ADOPT_PAGE:
                pass

    def hand_on(self, incarnation: str) -> None:
        """What was delivered to this name, which takes nothing more, goes on to other workers; and the name goes."""
        if not self._link.run(self._scripts.retire(incarnation, self._queues)):
            return
        for queue in self._queues:
            hand_on = self._scripts.recover(incarnation, queue, _HAND_ON_PAGE, _NO_BURIAL, b"")
            while self._link.run(hand_on).moved >= _HAND_ON_PAGE:
                pass
        self._link.run(self._scripts.retire(incarnation, self._queues))

    def _register(self, incarnation: str) -> None:
        scripts, tasks = self._scripts, self._tasks.values()
        limits = {task.name: task.limits.allowed if task.limits else "" for task in tasks}
        self._link.run(scripts.declare_limits(limits))
        queues = {task.name: task.queue for task in tasks}
        lease_ms = self._settings.lease_ms
        self._link.run(scripts.register(incarnation, lease_ms, self._queues, queues, self._description()))
        self._publish()

    def _description(self) -> dict[str, str]:
        description = {
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "queues": " ".join(self._queues),
            "concurrency": str(self._settings.concurrency),
            "lease_ms": str(self._settings.lease_ms),
            "started_ms": str(int(time.time() * 1000)),
        }
        if self._settings.concurrency_limiter != settings.CONCURRENCY_LIMITER:
            description["limiter"] = self._settings.concurrency_limiter
        return description

    def _publish(self) -> None:
        """A server whose memory is full refuses definitions, but workers must drain it: a renewal tries again."""
        self._is_published = False
        with contextlib.suppress(QueueFull):
            self._mill.publish()
            self._is_published = True
