"""Follows the fleet while it works: draws the figures, starts again what died, and opens the late catalog."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tidemill import Job
from tidemill.demo import app
from tidemill.demo.app import FILES, FOLDERS, SAMPLES
from tidemill.demo.catalog import Catalog
from tidemill.demo.fleet import Fleet
from tidemill.demo.progress import Depth, Progress
from tidemill.lifecycle import Signals
from tidemill.wire.scripts import QueueFigures

T = TypeVar("T")

# How often the figures are looked at and drawn: smooth for the eye, nothing for the server.
_LOOK_SECONDS: Final = 0.1
# A demo whose figures stand still for this long has failed.
_STALLED_SECONDS: Final = 90.0


class Stopped(Exception):
    """SIGINT or SIGTERM."""


def clear() -> None:
    """Ends what a demo leaves on a server of yours, should it be stopped: waiting jobs, and the recurring one."""
    app.mill.remove_recurring(app.every_second.name)
    for queue in (FILES, FOLDERS, SAMPLES):
        app.mill.inspect.purge(queue)


@dataclass(frozen=True, slots=True)
class _Counters:
    """What a queue has counted since it exists; on a server of yours, earlier demos have counted too."""

    over: int
    dead: int
    retried: int

    @classmethod
    def of(cls, figures: QueueFigures) -> _Counters:
        succeeded, dead, retried = (int(figures.counters.get(name, 0)) for name in ("succeeded", "dead", "retried"))
        return cls(succeeded + dead, dead, retried)


class Follower:
    """`until` and `result` raise Stopped on a signal, and RuntimeError when the fleet gets nowhere."""

    def __init__(self, files: int, fleet: Fleet, catalog: Catalog, signals: Signals) -> None:
        self.progress: Final = Progress()
        self._files = files
        self._fleet = fleet
        self._catalog = catalog
        self._signals = signals
        self._files_before = _Counters.of(app.mill.inspect.queue(FILES))
        self._folders_before = _Counters.of(app.mill.inspect.queue(FOLDERS))
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

    def _look(self) -> None:
        for news in self._fleet.tend():
            self.progress.say(news)
        files, folders = app.mill.inspect.queue(FILES), app.mill.inspect.queue(FOLDERS)
        counted, folders_counted = _Counters.of(files), _Counters.of(folders)
        depth = Depth(
            files=self._files,
            done=counted.over - self._files_before.over,
            wheel=files.scheduled + folders.scheduled,
            stream=files.waiting + folders.waiting,
            running=files.running + folders.running,
            dead=counted.dead - self._files_before.dead,
        )
        if depth != self._depth:
            self._depth, self._changed_at = depth, time.monotonic()
        self.progress.show(depth)
        self._folders_over = folders_counted.over - self._folders_before.over
        if folders_counted.retried > self._folders_before.retried:
            self._catalog.open()  # now that it was missed
