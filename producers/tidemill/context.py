"""What a running job knows of itself: `current_job()`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tidemill import validation
from tidemill.errors import InvalidInput

if TYPE_CHECKING:
    from tidemill.breakers.breaker import Breaker
    from tidemill.client import Client

# A progress text longer than this is cut: it is shown in one line of a terminal or a page.
MAX_PROGRESS_CHARS: Final = 500
# Several threads of one job may wait, and must wait for the same event.
_MAKING: Final = threading.Lock()


class Fence(NamedTuple):
    """Proof of who runs a job: changes with every attempt, so a write that carries it can refuse an older attempt.

    `attempt` only grows for a job, so `WHERE fence < :attempt` guards a row; `incarnation` names the worker process.
    """

    incarnation: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.incarnation}/{self.attempt}"


class CurrentJob:
    """The running job. Its attributes are plain data; only `progress` reaches the server, and does not wait for it."""

    __slots__ = (
        "_report",
        "_stop",
        "_stopped",
        "attempt",
        "breaker",
        "client",
        "deadline",
        "fence",
        "id",
        "queue",
        "task",
    )

    def __init__(
        self,
        id: str,
        task: str,
        queue: str,
        attempt: int,
        fence: Fence,
        deadline: datetime | None,
        report: Callable[[float, str], None],
    ) -> None:
        self.id = id
        self.task = task
        self.queue = queue
        self.attempt = attempt
        self.fence = fence
        self.deadline = deadline
        # Of the application that runs the job, in this process: for `once`. Set by whoever calls the task's function.
        self.client: Client | None = None
        self.breaker: Breaker | None = None  # that its task declares, in this process
        self._report = report
        self._stop = False
        self._stopped: threading.Event | None = None  # made by the first that waits for it

    @property
    def should_stop(self) -> bool:
        """True when the job was cancelled, its lease is lost, or its worker has to go: return soon.

        What a job does after that may be done again by another worker.
        """
        return self._stop

    def request_stop(self) -> None:
        """For workers: sets `should_stop`."""
        self._stop = True
        if self._stopped is not None:
            self._stopped.set()

    def wait_for_stop(self, seconds: float) -> bool:
        """Sleeps for so long, or until the job is to stop: then it returns True at once. For plain functions."""
        if self._stopped is None:
            with _MAKING:
                self._stopped = self._stopped or threading.Event()
        # In this order: `request_stop` notes it first, and then looks whether somebody waits.
        return self._stop or self._stopped.wait(seconds)

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else (self.deadline - datetime.now(UTC)).total_seconds()

    def progress(self, fraction: float, text: str = "") -> None:
        """Reports how far the job is: a fraction from 0 to 1, and a text to show. The last report wins."""
        if not 0 <= validation.number("progress", fraction) <= 1:
            raise InvalidInput(f"progress must be a number from 0 to 1, not {fraction!r}")
        self._report(float(fraction), str(text)[:MAX_PROGRESS_CHARS])


CURRENT: ContextVar[CurrentJob | None] = ContextVar("tidemill_current_job", default=None)


def current_job() -> CurrentJob:
    """The job that runs here: in its function and in what that calls. Raises RuntimeError outside a job."""
    found = CURRENT.get()
    if found is None:
        raise RuntimeError("current_job() was called outside a job: only a worker that runs a task has one")
    return found
