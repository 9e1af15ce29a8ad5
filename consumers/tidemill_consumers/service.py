"""A worker as a process: signals, and the supervisor of several."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Final

from tidemill import telemetry, validation
from tidemill.errors import InvalidInput
from tidemill.lifecycle import Signals, supervise
from tidemill.telemetry import Event
from tidemill_consumers.loading import load_app
from tidemill_consumers.settings import INTERRUPT_SECONDS, WorkerSettings
from tidemill_consumers.worker import Worker

# A process that ends this soon after its start is restarted with growing pauses: it would only end again.
_SETTLED_SECONDS: Final = 10.0
_MAX_PAUSE_SECONDS: Final = 30.0
# How often the supervisor looks after its processes.
_TEND_SECONDS: Final = 0.2
# How long a process that has left the fleet may take to end.
_EXIT_SECONDS: Final = 5.0
# The exit code of wrong input: see `tidemill.commands.root`. Starting such a process again would not help.
_WRONG_INPUT: Final = 2


def run_one(settings: WorkerSettings) -> int:
    """Runs a worker in this process until a signal, or until its supervisor is gone. Returns the exit code."""
    signals = Signals()
    print_promptly()
    for name in settings.queues:
        validation.queue_name(name)
    mill = load_app(settings.app_path)
    if not mill.tasks:
        raise InvalidInput(f"{settings.app_path} has no tasks: register functions with @mill.task()")
    worker = Worker(mill, settings, signals.fail)
    if not signals.stop.is_set():
        worker.start()
        signals.wait()
        if signals.failed:
            # Half a worker: what runs is handed back now, while there is still a lease. Even that may hang.
            _end_within(settings.grace_seconds + _EXIT_SECONDS, 1)
        worker.stop(0 if signals.failed else None)
    mill.close()
    _end_within(_EXIT_SECONDS, int(signals.failed))
    return int(signals.failed)


def print_promptly() -> None:
    """What jobs print is seen as they print it, also in a file or a container's log."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _end_within(seconds: float, code: int) -> None:
    """The interpreter waits for threads that user code left behind, but not for ever: their jobs were handed back."""

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


class _Process:
    """One supervised process, restarted when it ends."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._pause_seconds = 0.0
        self._restart_at = 0.0
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Starts it if it does not run and its pause is over; not if it would only end again."""
        now = time.monotonic()
        if self.process is not None and not self.is_hopeless and self.process.poll() is not None:
            short_lived = now - self._started_at < _SETTLED_SECONDS
            self._pause_seconds = min(2 * self._pause_seconds + 0.5, _MAX_PAUSE_SECONDS) if short_lived else 0.0
            code = self.process.returncode
            telemetry.event(Event.CHILD_STOPPED, pid=self.process.pid, reason="ended", exit_code=code)
            self.process, self._restart_at = None, now + self._pause_seconds
        if self.process is None and now >= self._restart_at:
            self.process = subprocess.Popen(self._command, start_new_session=True)
            self._started_at = now
            telemetry.event(Event.CHILD_STARTED, pid=self.process.pid)

    @property
    def is_hopeless(self) -> bool:
        """It has ended because of its input: it would end again."""
        return self.process is not None and self.process.poll() == _WRONG_INPUT

    def send(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_fleet(settings: WorkerSettings, processes: int, *, with_scheduler: bool) -> int:
    """Runs N worker processes, and a scheduler; restarts what ends; stops all on a signal. Returns the exit code."""
    python = [sys.executable, "-m", "tidemill"]
    fleet = [_Process([*python, "worker", *settings.arguments()]) for _ in range(processes)]
    if with_scheduler:
        fleet.append(_Process([*python, "scheduler"]))

    def kill_all() -> None:
        for member in fleet:
            member.send(signal.SIGKILL)

    signals = Signals(before_end=kill_all)
    supervise()
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
    return _WRONG_INPUT if hopeless else 0
