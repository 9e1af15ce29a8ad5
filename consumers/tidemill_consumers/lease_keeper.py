"""Keeps the leases of workers whose interpreter is held, and reports those that have died.

A worker renews its lease from a thread of its own. But CPython runs one thread at a time: a job that stays inside one
call of a C extension, without releasing the interpreter, stops that thread too, and after a lease the job would be
recovered although it runs. So the supervisor, another process, renews the lease of a worker that has fallen silent, as
long as that worker is alive. It does not help one that the system has stopped (SIGSTOP, a debugger), which does nothing
for its jobs; nor one that is past the timeout of a running job, or silent for longer than any job may hold the
interpreter: that one is killed, and its jobs are recovered.

A worker that has died is reported with how it ended and how much memory it had: its lease ends at once, so its jobs
need not wait for the end of a lease, and a job that is buried for killing its workers says what it died of.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidemill import telemetry
from tidemill.errors import TidemillError
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import Scripts
from tidemill_consumers.beats import Beat, BeatReceiver
from tidemill_consumers.settings import INTERRUPT_SECONDS, RENEWALS_PER_LEASE

if TYPE_CHECKING:
    from tidemill.connection import Link

# How often silent workers are looked for; shorter than any lease.
_LOOK_SECONDS: Final = 0.1
# A pause between two looks that is longer was the machine's, or our own: nobody can be blamed for its silence then.
_OWN_PAUSE_SECONDS: Final = 2.0
# How long one call to the server may take: there are others to look after.
_DEADLINE_SECONDS: Final = 1.0
# After a timeout: how long the worker itself has to interrupt the job, and to say so.
_PAST_TIMEOUT_SECONDS: Final = INTERRUPT_SECONDS + 3.0
# States of /proc/<pid>/stat in which a process does nothing for its jobs: stopped, traced, dead.
_STANDING_STILL: Final = frozenset("TtZXx")


class Watched:
    """One worker process: its signs of life, and what follows from their absence."""

    def __init__(self, pid: int, receiver: BeatReceiver, max_stall_seconds: float) -> None:
        self.pid = pid
        self.is_stuck = False  # it must be killed; by the thread that reaps it, so that the pid is still its own
        self._receiver = receiver
        self._max_stall_seconds = max_stall_seconds
        self._beat: Beat | None = None
        self._heard_at = self._renewed_at = time.monotonic()
        self._is_stalled = False
        self._link: Link | None = None

    def look(self, now: float, *, after_pause: bool = False) -> None:
        """Keeps the lease if the worker can't."""
        beat = self._listen(now)
        if after_pause:
            self._heard_at = max(self._heard_at, now)
        silent_seconds = now - self._heard_at
        if beat is None or silent_seconds * 1000 < beat.lease_ms / 2 or stands_still(self.pid):
            return
        deadline = beat.deadline_seconds
        if silent_seconds > self._max_stall_seconds or (deadline and now > deadline + _PAST_TIMEOUT_SECONDS):
            self.is_stuck = True
        elif (now - self._renewed_at) * 1000 >= beat.lease_ms / RENEWALS_PER_LEASE:
            self._renewed_at = now
            self._keep(beat, silent_seconds)

    def _listen(self, now: float) -> Beat | None:
        found = self._receiver.last()
        if found is not None:
            if self._beat is None or found.url != self._beat.url:
                self._disconnect()
            self._beat, self._heard_at, self._is_stalled = found, now, False
        return self._beat

    def _keep(self, beat: Beat, silent_seconds: float) -> None:
        if not self._is_stalled:
            self._is_stalled = True
            silence = round(silent_seconds, 1)
            telemetry.event(Event.WORKER_STALLED, worker=beat.incarnation, pid=self.pid, silent_s=silence)
        with contextlib.suppress(TidemillError):  # the next try comes soon
            self._connected(beat).run(_scripts(beat).renew(beat.incarnation, beat.lease_ms, [], []))

    def report_death(self, how: str) -> bool:
        """Ends its lease, and says how it ended. False: the server does not answer."""
        beat = self._listen(time.monotonic())
        if beat is None:
            return True
        try:
            self._connected(beat).run(_scripts(beat).end_lease(beat.incarnation, how))
        except TidemillError:
            return False
        return True

    @property
    def lease_seconds(self) -> float:
        return self._beat.lease_ms / 1000 if self._beat else 0.0

    def _connected(self, beat: Beat) -> Link:
        """redis-py is imported at the first need: most supervisors never have one."""
        from tidemill.connection import Link

        if self._link is None:
            self._link = Link(Target(lambda: beat.url), _DEADLINE_SECONDS)
        return self._link

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        self._disconnect()
        self._receiver.close()


class LeaseKeeper:
    """Looks after the workers of one supervisor, in a thread. Calls come from the supervisor's."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._dead: list[tuple[Watched, str, float]] = []  # with how it ended, and until when that is of interest
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tidemill-leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, watched: Watched) -> None:
        with self._lock:
            self._watched.add(watched)

    def ended(self, watched: Watched, how: str | None) -> None:
        """The process is gone; None: in order, having left by itself."""
        with self._lock:
            self._watched.discard(watched)
            if how is not None:
                self._dead.append((watched, how, time.monotonic() + 2 * watched.lease_seconds))
                return
        watched.close()

    def close(self, seconds: float) -> None:
        """Reports what is left to report."""
        self._closing.set()
        self._thread.join(seconds)

    def _serve(self) -> None:
        looked_at = time.monotonic()
        while not self._closing.wait(_LOOK_SECONDS):
            now = time.monotonic()
            with self._lock:
                watched = list(self._watched)
            for one in watched:
                one.look(now, after_pause=now - looked_at > _OWN_PAUSE_SECONDS)
            self._report()
            looked_at = now
        self._report()

    def _report(self) -> None:
        with self._lock:
            dead, self._dead = self._dead, []
        for watched, how, until in dead:
            if watched.report_death(how) or time.monotonic() > until:
                watched.close()
            else:
                with self._lock:
                    self._dead.append((watched, how, until))


def stands_still(pid: int) -> bool:
    """Is the process stopped, traced or dead? False where the system can't tell: Linux can."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in _STANDING_STILL


def _scripts(beat: Beat) -> Scripts:
    return Scripts(Keys(beat.prefix))
