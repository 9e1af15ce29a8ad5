"""RUNNING → READY for the jobs of dead workers.

A worker is dead when its lease is over, whatever its jobs' length: liveness is what the lease says, and no job needs a
timeout to be recovered. Each of its queues is gone through in pages, so no call is long, and any number of schedulers
may do it at once: recover.lua moves a ticket once. When nothing is left, the worker is forgotten (retire.lua).

After the server was down, leases have run out that nobody could renew. So a lease counts as over only when the server
has been up for as long as that lease: a worker that lives renews it in that time.
"""

from __future__ import annotations

import time

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import RemoteError
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Scripts
from tidemill_scheduler import settings


class Reaper:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts
        self._up_since = 0.0  # monotonic seconds

    def connected(self) -> None:
        """The server may have been restarted: asks since when it is up."""
        self._up_since = time.monotonic() - self._link.run(self._scripts.uptime_seconds())

    def run(self, now_ms: int) -> int | None:
        """Recovers what is to be recovered. Returns when to look again, in ms from now; None: nothing is waited for."""
        waits: list[int] = []
        queues: list[str] | None = None
        for incarnation, lease_end_ms in self._link.run(self._scripts.workers()):
            if lease_end_ms > now_ms:
                continue
            about = self._link.run(self._scripts.describe_worker(incarnation))
            grace_ms = int(about.get("lease_ms", settings.DEFAULT_LEASE_MS)) - self._uptime_ms()
            if grace_ms > 0 and lease_end_ms > 0:
                waits.append(grace_ms)
                continue
            if queues is None:
                queues = self._link.run(self._scripts.queue_names())
            self._recover(incarnation, queues)
        return min(waits, default=None)

    def _uptime_ms(self) -> int:
        return int((time.monotonic() - self._up_since) * 1000)

    def _recover(self, incarnation: str, queues: list[str]) -> None:
        for queue in queues:
            while self._page(incarnation, queue) >= settings.RECOVER_PAGE:
                pass
        self._link.run(self._scripts.retire(incarnation, queues))

    def _page(self, incarnation: str, queue: str) -> int:
        error = RemoteError(
            "worker_lost",
            f"its worker died {settings.MAX_CRASHES + 1} times while it ran, {incarnation} the last time",
        )
        found = self._link.run(
            self._scripts.recover(
                incarnation, queue, settings.RECOVER_PAGE, settings.MAX_CRASHES, record.write_error(error)
            )
        )
        for job_id in found.ready:
            telemetry.event(Event.JOB_RECOVERED, job_id=job_id, queue=queue, worker=incarnation)
        for job_id in found.buried:
            telemetry.event(Event.JOB_DEAD, job_id=job_id, queue=queue, reason="worker_lost")
        if found.ready:
            telemetry.jobs_recovered(queue, len(found.ready))
        return found.moved
