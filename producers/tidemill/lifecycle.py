"""How a long-running command ends: by a signal, or because the process that started it is gone."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Final

# How often a supervised process looks whether its supervisor is still there.
_SUPERVISOR_CHECK_SECONDS: Final = 1.0
# Names the supervisor's pid to its processes: when it is gone, they stop too.
SUPERVISOR_VARIABLE: Final = "TIDEMILL_SUPERVISOR_PID"


class Signals:
    """SIGTERM and SIGINT: the first sets `stop`, the second ends the process at once."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.stop.is_set():
            os._exit(128 + number)
        self.stop.set()


def wait_for_stop() -> None:
    """Blocks the main thread until the process is to stop."""
    signals = Signals()
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    while not signals.stop.wait(_SUPERVISOR_CHECK_SECONDS if supervisor else None):
        if str(os.getppid()) != supervisor:
            return


def supervise() -> None:
    """Processes that are started from now on stop when this one is gone."""
    os.environ[SUPERVISOR_VARIABLE] = str(os.getpid())
