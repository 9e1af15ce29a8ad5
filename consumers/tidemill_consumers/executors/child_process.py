"""A child process as its worker sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Final

from tidemill_consumers import executors
from tidemill_consumers.executors.frames import Channel
from tidemill_consumers.run import Run

# How long an application may take to be imported in a child, before the child counts as stuck.
START_SECONDS: Final = 60.0
# How long a child may take to end by itself, before it is killed.
_END_SECONDS: Final = 1.0


class ChildProcess:
    """One child. Raises OSError if the system can't start it."""

    def __init__(self, app_path: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as on_error:
            on_error.enter_context(ours)
            self.process = subprocess.Popen(
                [sys.executable, "-m", executors.__name__, app_path, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that what a job has started can be killed with it
            )
            on_error.pop_all()
        self.channel = Channel(ours)
        self.jobs = 0
        self.megabytes = 0
        self._run: Run | None = None
        self._lock = threading.Lock()

    def wait_until_up(self) -> bool:
        """False: it could not import the application, or was killed meanwhile."""
        return self.channel.receive(START_SECONDS) is not None

    def enter(self, run: Run) -> None:
        """It is this run's from now on."""
        with self._lock:
            self._run = run

    def leave(self) -> None:
        with self._lock:
            self._run = None

    def interrupt(self, run: Run) -> None:
        """Kills it if it is still this run's, and not the next one's."""
        with self._lock:
            if self._run is run:
                self.kill()

    def give_up(self) -> None:
        """Kills it if it is any run's; an idle one ends by itself when its channel is closed."""
        with self._lock:
            if self._run is not None:
                self.kill()

    def kill(self) -> None:
        """With all that its jobs have started. It is not reaped: `end` does that."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kills it if it does not end by itself; returns how it ended, as `Popen.returncode` does."""
        self.channel.close()
        try:
            return self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()


def how_it_ended(code: int) -> str:
    """`Popen.returncode` in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
