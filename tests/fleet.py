"""A worker and a scheduler inside the test's process: real ones, on threads, so that a test can look at them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from tidemill import Tidemill
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker
from tidemill_scheduler.service import Scheduler

# Long enough that a busy machine, which may stand still for a second, does not make its jobs run again elsewhere.
LEASE_MS = 4_000


@contextmanager
def running_worker(mill: Tidemill, settings: WorkerSettings | None = None) -> Generator[Worker]:
    """A worker of this application; stopped at the end, with a grace of a second."""
    worker = Worker(mill, settings or WorkerSettings(concurrency=8, lease_ms=LEASE_MS))
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(grace_seconds=1)


@contextmanager
def running_scheduler(mill: Tidemill) -> Generator[Scheduler]:
    """A scheduler on the application's server."""
    scheduler = Scheduler(mill)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()
        thread.join(10)
        assert not thread.is_alive(), "the scheduler did not stop"


@contextmanager
def running_fleet(mill: Tidemill, settings: WorkerSettings | None = None) -> Generator[Worker]:
    """A worker and a scheduler."""
    with running_scheduler(mill), running_worker(mill, settings) as worker:
        yield worker
