"""Jobs whose tasks declare a circuit breaker: they are parked while it is open, and come back when it closes.

A job is looked at twice. When it is taken: while its breaker is open it goes back to the wheel at once, and holds
nothing here. And just before its function is called, since the breaker may have opened while the job waited for a slot;
there a half-open breaker is asked for a permit, so one that is given is used at once. This process decides: a child is
only sent what may run.

When are parked jobs due? An open breaker may have parked a hundred thousand, and all that is needed of them while the
dependency stays down is a few to be the next probes. So of what a process parks, as many as there are permits are due
when the breaker may be half-open, as many more a reset timeout later, and so on; nobody looks at the others. When the
breaker closes, every worker that hears of it makes what is parked due (readmit.lua): one job behind the other, at the
breaker's `release_rate` for the whole fleet together, however many workers do it.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tidemill.breakers import Breaker
from tidemill.breakers.breaker import Verdict
from tidemill.breakers.hub import Hub
from tidemill.connection import Link
from tidemill.errors import BreakerOpen, TidemillError
from tidemill.task import Definition
from tidemill.wire.scripts import Scripts
from tidemill_consumers import settings
from tidemill_consumers.background import background
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Retried, Succeeded
from tidemill_consumers.run import Interrupt, Run

# No job is put off for longer than this, or its breaker's reset timeout: if all else failed, its own time would come.
_MOST_SECONDS: Final = 600.0
# What was being parked when the breaker closed stands in the index a moment later, or when the server is back: parked
# jobs are looked for again so long after a closing.
LOOK_AGAIN_SECONDS: Final = (1.0, 10.0, 60.0)
# What ends an attempt before, or after, what its function did: no word about the dependency.
_NOT_ITS_CALL: Final = frozenset({"corrupt", "result", "signature"})


class Guard:
    """A breaker, before the jobs of this worker. Calls come from any thread."""

    def __init__(self, breaker: Breaker, clock: Callable[[], float] = time.monotonic) -> None:
        self.breaker: Final = breaker
        self._clock = clock
        self._lock = threading.Lock()
        self._due = 0.0  # of the jobs that are parked now
        self._left = 0  # how many more are due then
        self._epoch = 0  # of the opening that they wait for

    def admit(self, run: Run) -> Run | Parked:
        """When it is taken. It asks nobody."""
        if self.breaker.retry_after > 0:
            return self._parked(self.breaker.refusal())
        run.guard = self
        return run

    def enter(self, run: Run) -> Parked | None:
        """Just before its function is called; None: it may be."""
        if run.call is not None:  # it was given to a child before, and taken back
            return None
        try:
            run.call = self.breaker.begin()
        except BreakerOpen as refusal:
            return self._parked(refusal)
        return None

    async def aenter(self, run: Run) -> Parked | None:
        """`enter` for the loop."""
        try:
            run.call = await self.breaker.abegin()
        except BreakerOpen as refusal:
            return self._parked(refusal)
        return None

    def ended(self, run: Run, outcome: Outcome, *, is_void: bool) -> Outcome:
        """Tells the breaker what came of it. One that has met the open breaker gets its turn among the parked.

        is_void: its lease is lost, so its outcome is not accepted.
        """
        call, run.call = run.call, None
        if call is None:
            return outcome
        call.ended("nothing" if is_void else _verdict(run, outcome), run.seconds)
        if isinstance(outcome, Parked) and outcome.label == "breaker_open":
            return replace(outcome, delay_ms=math.ceil(1000 * self._turn(outcome.delay_ms / 1000)))
        return outcome

    def _parked(self, refusal: BreakerOpen) -> Parked:
        return parked(refusal, self._turn(refusal.retry_after))

    def _turn(self, seconds: float) -> float:
        """Seconds until it is due: at least these, and behind those that were parked before."""
        limits, standing = self.breaker.settings, self.breaker.standing
        reset_seconds = limits.reset_timeout_ms / 1000
        with self._lock:
            now = self._clock()
            # What waits since before it was closed, or set by hand, is due at another time. After a probe that has
            # failed it goes on: those that wait are the next probes.
            if standing.state == "open" and standing.epoch != self._epoch:
                self._epoch = standing.epoch
                self._due = self._due if standing.reason == "probe" else 0.0
            # Half of it: what passes between two looks at the clock makes no job later than another.
            if self._due + reset_seconds / 2 < now + seconds:
                self._due, self._left = now + seconds, limits.half_open_max
            elif not self._left:
                self._due, self._left = self._due + reset_seconds, limits.half_open_max
            self._left -= 1
            return max(seconds, min(self._due - now, _MOST_SECONDS))


def parked(refusal: BreakerOpen, seconds: float) -> Parked:
    """A breaker that the job's task declares is open."""
    return Parked(f"breaker {refusal.breaker} is open ({refusal.reason})", math.ceil(seconds * 1000), "breaker_open")


def _verdict(run: Run, outcome: Outcome) -> Verdict:
    if run.interrupt is Interrupt.TIMEOUT:
        return "failed"
    match outcome:
        case Parked() | Cancelled() | Released():
            return "nothing"
        case Succeeded():
            return run.verdict or "succeeded"  # of a fallback that was called, the verdict is that of the attempt
        case Dead(_, reason) if reason in _NOT_ITS_CALL:
            return "nothing"
        case Dead() | Retried():
            return run.verdict or "nothing"  # its child has died


class Guards:
    """Those of a worker's tasks, and the thread that makes parked jobs due."""

    def __init__(
        self,
        tasks: Mapping[str, Definition],
        hub: Hub,
        link: Link,
        scripts: Scripts,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._hub = hub
        self._link = link
        self._scripts = scripts
        self._guards: dict[str, Guard] = {}
        self._tasks: dict[Breaker, list[str]] = {}
        for task in tasks.values():
            if task.breaker is not None:
                self._guards.setdefault(task.breaker.name, Guard(task.breaker))
                self._tasks.setdefault(task.breaker, []).append(task.name)
        self._closed: queue.SimpleQueue[Breaker | None] = queue.SimpleQueue()
        self._stop_watching: Callable[[], None] = lambda: None
        self._thread = background("breakers", self._serve, failed)

    def start(self) -> None:
        """Waits until the states are known, or the server does not say: before the first job is taken."""
        if not self._tasks:
            return
        self._hub.join()
        self._stop_watching = self._hub.watch(self._changed)
        for breaker in self._tasks:
            self._changed(breaker)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._stop_watching()
            self._closed.put(None)
            self._thread.join(2)

    def admit(self, run: Run, breaker: Breaker) -> Run | Parked:
        return self._guards[breaker.name].admit(run)

    def _changed(self, breaker: Breaker) -> None:
        if breaker.state == "closed" and breaker in self._tasks:
            self._closed.put(breaker)

    def _serve(self) -> None:
        looks: list[tuple[float, str, Breaker]] = []  # when it is to be looked for jobs of which breaker
        while True:
            try:
                wait = max(0.0, looks[0][0] - time.monotonic()) if looks else None
                breaker = self._closed.get(timeout=wait)
                if breaker is None:
                    return
                looks = [look for look in looks if look[2] is not breaker]
                looks += [(time.monotonic() + later, breaker.name, breaker) for later in LOOK_AGAIN_SECONDS]
                looks.sort()
            except queue.Empty:
                _, _, breaker = looks.pop(0)
            self._readmit(breaker)

    def _readmit(self, breaker: Breaker) -> None:
        """Without an answer it is a later look's."""
        step_us = max(1, round(1_000_000 / breaker.settings.release_rate))
        page = settings.ADOPT_PAGE
        with contextlib.suppress(TidemillError):
            for task in self._tasks[breaker]:
                while self._link.run(self._scripts.readmit(breaker.name, task, page, step_us)) == page:
                    pass
