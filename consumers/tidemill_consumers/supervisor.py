"""The supervisor of worker processes: starts them, keeps their leases, starts again what has ended, and stops all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Final

from tidemill import telemetry
from tidemill.lifecycle import Signals, supervise
from tidemill.telemetry import Event
from tidemill_consumers.beats import BEATS_VARIABLE, BeatReceiver, pair
from tidemill_consumers.executors.child_process import how_it_ended
from tidemill_consumers.lease_keeper import LeaseKeeper, Watched
from tidemill_consumers.settings import INTERRUPT_SECONDS, WorkerSettings

# A process that ends this soon after its start is restarted with growing pauses: it would only end again.
_SETTLED_SECONDS: Final = 10.0
_MAX_PAUSE_SECONDS: Final = 30.0
# How often the supervisor looks after its processes.
_TEND_SECONDS: Final = 0.2
# How long a process that has left the fleet may take to end.
_EXIT_SECONDS: Final = 5.0
# How often it is looked whether a process that was told to stop has ended.
_REAP_SECONDS: Final = 0.02
# The exit code of wrong input: see `tidemill.commands.root`. Starting such a process again would not help.
_WRONG_INPUT: Final = 2


class _Process:
    """One supervised process, restarted when it ends. `keeper`: of its lease, if it is a worker."""

    def __init__(self, command: list[str], keeper: LeaseKeeper | None, max_stall_seconds: float) -> None:
        self._command = command
        self._keeper = keeper
        self._max_stall_seconds = max_stall_seconds
        self._pause_seconds = 0.0
        self._restart_at = 0.0
        self._started_at = 0.0
        self._watched: Watched | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Starts it if it does not run and its pause is over; not if it would only end again."""
        now = time.monotonic()
        if self._watched is not None and self._watched.is_stuck:
            self.send(signal.SIGKILL)
        if self.process is not None and not self.is_hopeless and self.reap() is not None:
            short_lived = now - self._started_at < _SETTLED_SECONDS
            self._pause_seconds = min(2 * self._pause_seconds + 0.5, _MAX_PAUSE_SECONDS) if short_lived else 0.0
            self.process, self._restart_at = None, now + self._pause_seconds
        if self.process is None and now >= self._restart_at:
            self._start()
            self._started_at = now

    def _start(self) -> None:
        with ExitStack() as stack:
            environment, receiver = dict(os.environ), None
            descriptors: tuple[int, ...] = ()
            if self._keeper is not None:
                receiver, theirs = pair()
                stack.enter_context(theirs)
                descriptors = (theirs.fileno(),)
                environment[BEATS_VARIABLE] = str(theirs.fileno())
            self.process = subprocess.Popen(
                self._command, env=environment, pass_fds=descriptors, start_new_session=True
            )
        self._watch(self.process.pid, receiver)
        telemetry.event(Event.CHILD_STARTED, pid=self.process.pid)

    def _watch(self, pid: int, receiver: BeatReceiver | None) -> None:
        if self._keeper is not None and receiver is not None:
            self._watched = Watched(pid, receiver, self._max_stall_seconds)
            self._keeper.add(self._watched)

    def reap(self) -> int | None:
        """The exit code once it has ended. Reaped by `wait4`, which also tells how much memory it had."""
        if self.process is None or self.process.returncode is not None:
            return None if self.process is None else self.process.returncode
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return None
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        stuck = self._watched is not None and self._watched.is_stuck
        telemetry.event(Event.CHILD_STOPPED, pid=pid, reason="stalled" if stuck else "ended", exit_code=code)
        if self._keeper is not None and self._watched is not None:
            megabytes = usage.ru_maxrss >> (20 if sys.platform == "darwin" else 10)
            how = f"the process {how_it_ended(code)}, {megabytes} MB of memory at most"
            self._keeper.ended(self._watched, how if code else None)
            self._watched = None
        return code

    @property
    def is_hopeless(self) -> bool:
        """It has ended because of its input: it would end again."""
        return self.reap() == _WRONG_INPUT

    def send(self, number: int) -> None:
        if self.process is not None and self.reap() is None:
            os.kill(self.process.pid, number)

    def wait(self, deadline: float) -> None:
        if self.process is None:
            return
        pause = threading.Event()
        while self.reap() is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
            pause.wait(_REAP_SECONDS)


def run_fleet(settings: WorkerSettings, processes: int, *, with_scheduler: bool, max_stall_seconds: float) -> int:
    """Runs N worker processes, and a scheduler; restarts what ends; stops all on a signal. Returns the exit code.

    max_stall_seconds: how long a job may hold its worker's interpreter, before that worker is killed.
    """
    python = [sys.executable, "-m", "tidemill"]
    worker = [*python, "worker", *settings.arguments(), "--no-supervisor"]
    keeper = LeaseKeeper()
    fleet = [_Process(worker, keeper, max_stall_seconds) for _ in range(processes)]
    if with_scheduler:
        fleet.append(_Process([*python, "scheduler"], None, 0))

    def kill_all() -> None:
        for member in fleet:
            member.send(signal.SIGKILL)

    signals = Signals(before_end=kill_all)
    supervise()
    keeper.start()
    hopeless = False
    while not hopeless and not signals.wait(_TEND_SECONDS):
        for member in fleet:
            member.tend()
        hopeless = any(member.is_hopeless for member in fleet)
    for member in fleet:
        member.send(signal.SIGTERM)
    deadline = time.monotonic() + settings.grace_seconds + INTERRUPT_SECONDS + _EXIT_SECONDS + 10
    for member in fleet:
        member.wait(deadline)
    keeper.close(_EXIT_SECONDS)
    return _WRONG_INPUT if hopeless else 0
