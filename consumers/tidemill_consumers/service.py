"""A worker as a process: signals, failures, and its end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Final

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.lifecycle import Signals, collect_less_often, exempt_what_is_loaded
from tidemill.loading import load_app
from tidemill_consumers.beats import BeatSender
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker

# How long a process may take to end after its worker has left.
_EXIT_SECONDS: Final = 5.0


def run_one(settings: WorkerSettings) -> int:
    """Runs a worker in this process until a signal, or until its supervisor is gone. Returns the exit code."""
    signals = Signals()
    beats = BeatSender.of_supervisor()
    print_promptly()
    for name in settings.queues:
        validation.queue_name(name)
    mill = load_app(settings.app_path)
    if not mill.tasks:
        raise InvalidInput(f"{settings.app_path} has no tasks: register functions with @mill.task()")
    worker = Worker(mill, settings, signals.fail, beats)
    if not signals.stop.is_set():
        worker.start()
        exempt_what_is_loaded()
        collect_less_often()
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
