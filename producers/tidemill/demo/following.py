"""Follows the fleet while it works: draws the figures, starts again what died, and opens the late catalog."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from tidemill import Job
from tidemill.demo import app
from tidemill.demo.app import FILES, FOLDERS, SAMPLES
from tidemill.demo.catalog import Catalog
from tidemill.demo.fleet import Fleet
from tidemill.demo.progress import Depth, Progress
from tidemill.demo.unfinished import Counters, Run
from tidemill.lifecycle import Signals

T = TypeVar("T")

# How often the figures are looked at and drawn: smooth for the eye, nothing for the server.
_LOOK_SECONDS: Final = 0.1
# A job that takes a moment, and is not over by then, is one whose worker has died.
_PROMPT_SECONDS: Final = 1.0
# A demo whose figures stand still for this long has failed.
_STALLED_SECONDS: Final = 90.0


class Stopped(Exception):
    """SIGINT or SIGTERM."""


def clear() -> None:
    """Ends what a demo leaves on a server of yours, should it be stopped: waiting jobs, and the recurring one."""
    app.mill.remove_recurring(app.every_second.name)
    for queue in (FILES, FOLDERS, SAMPLES):
        app.mill.inspect.purge(queue)


class Follower:
    """`until` and `result` raise Stopped on a signal, and RuntimeError when the fleet gets nowhere."""

    def __init__(self, run: Run, fleet: Fleet, catalog: Catalog, signals: Signals) -> None:
        self.progress: Final = Progress()
        self._run = run
        self._fleet = fleet
        self._catalog = catalog
        self._signals = signals
        self._folders_over = 0
        self._depth: Depth | None = None
        self._changed_at = time.monotonic()

    def workers_are_up(self) -> bool:
        found = {worker.description.get("pid") for worker in app.mill.inspect.workers()}
        return self._fleet.worker_pids <= found

    def files_over(self) -> int:
        return self._depth.done if self._depth else 0

    def folders_over(self) -> int:
        return self._folders_over

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Follows the fleet until the condition holds."""
        self._changed_at = time.monotonic()
        while True:
            self._look()
            if condition():
                return
            if time.monotonic() - self._changed_at > _STALLED_SECONDS:
                self.progress.clear()
                raise RuntimeError(f"waited for {what}, and nothing has changed for {_STALLED_SECONDS:.0f} s")
            self._signals.wait(_LOOK_SECONDS)
            self.check()

    def check(self) -> None:
        """Raises Stopped once a signal has come."""
        if self._signals.stop.is_set():
            self.progress.clear()
            raise Stopped

    def result(self, job: Job[T]) -> T:
        """What the job returned. Raises JobFailed."""
        self.until(job.task, lambda: job.refresh().state.is_over)
        return job.result(timeout=0)

    def prompt_result(self, job: Job[T]) -> T:
        """As `result`, for a job that takes a moment: it is not looked for, but waited for."""
        while True:
            try:
                return job.result(timeout=_PROMPT_SECONDS)
            except TimeoutError:
                self.until(job.id, lambda: job.refresh().state.is_over)

    def _look(self) -> None:
        for news in self._fleet.tend():
            self.progress.say(news)
        files, folders = app.mill.inspect.queue(FILES), app.mill.inspect.queue(FOLDERS)
        counted, folders_counted = Counters.of(files), Counters.of(folders)
        depth = Depth(
            files=len(self._run.names),
            done=counted.over - self._run.files.over,
            wheel=files.scheduled + folders.scheduled,
            stream=files.waiting + folders.waiting,
            running=files.running + folders.running,
            dead=counted.dead - self._run.files.dead,
        )
        if depth != self._depth:
            self._depth, self._changed_at = depth, time.monotonic()
        self.progress.show(depth)
        self._folders_over = folders_counted.over - self._run.folders.over
        if folders_counted.retried > self._run.folders.retried:
            self._catalog.open()  # now that it was missed
