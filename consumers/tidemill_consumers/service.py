"""A worker as a process: signals, and the supervisor of several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Final

from tidemill import telemetry, validation
from tidemill.errors import InvalidInput
from tidemill.lifecycle import Signals, supervise, wait_for_stop
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


def run_one(settings: WorkerSettings) -> None:
    """Runs a worker in this process until a signal, or until its supervisor is gone."""
    for name in settings.queues:
        validation.queue_name(name)
    mill = load_app(settings.app_path)
    if not mill.tasks:
        raise InvalidInput(f"{settings.app_path} has no tasks: register functions with @mill.task()")
    worker = Worker(mill, settings)
    worker.start()
    wait_for_stop()
    worker.stop()
    mill.close()
    _end_within(_EXIT_SECONDS)


def _end_within(seconds: float) -> None:
    """The interpreter waits for threads that user code left behind, but not for ever: their jobs were handed back."""
    timer = threading.Timer(seconds, lambda: os._exit(0))
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
        """Starts it if it does not run and its pause is over."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            lived = now - self._started_at
            self._pause_seconds = (
                0.0 if lived > _SETTLED_SECONDS else min(2 * self._pause_seconds + 0.5, _MAX_PAUSE_SECONDS)
            )
            telemetry.event(
                Event.CHILD_STOPPED, pid=self.process.pid, reason="ended", exit_code=self.process.returncode
            )
            self.process, self._restart_at = None, now + self._pause_seconds
        if now >= self._restart_at:
            self.process = subprocess.Popen(self._command, start_new_session=True)
            self._started_at = now
            telemetry.event(Event.CHILD_STARTED, pid=self.process.pid)

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


def run_fleet(settings: WorkerSettings, processes: int, *, with_scheduler: bool) -> None:
    """Runs N worker processes, and a scheduler; restarts what ends; stops all on a signal."""
    signals = Signals()
    supervise()
    python = [sys.executable, "-m", "tidemill"]
    fleet = [_Process([*python, "worker", *settings.arguments()]) for _ in range(processes)]
    if with_scheduler:
        fleet.append(_Process([*python, "scheduler"]))
    while not signals.stop.is_set():
        for member in fleet:
            member.tend()
        signals.stop.wait(_TEND_SECONDS)
    for member in fleet:
        member.send(signal.SIGTERM)
    deadline = time.monotonic() + settings.grace_seconds + INTERRUPT_SECONDS + _EXIT_SECONDS + 10
    for member in fleet:
        member.wait(deadline)
