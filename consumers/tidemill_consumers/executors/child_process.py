"""A child process as its worker sees it, and the runs that were given to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Final

from tidemill.wire.scripts import Taken
from tidemill_consumers import executors
from tidemill_consumers.executors import child
from tidemill_consumers.executors.frames import Channel
from tidemill_consumers.executors.permits import Permits
from tidemill_consumers.run import Run

# How long an application may take to be imported in a child, before the child counts as stuck.
START_SECONDS: Final = 60.0
# How long a child may take to end by itself, before it is killed.
_END_SECONDS: Final = 1.0
# A successor is started so much earlier than its start took the last time: the machine may be busier now.
_START_MARGIN: Final = 2.0


class ChildProcess:
    """One child; one thread's. Raises OSError if the system can't start it."""

    def __init__(self, app_path: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as on_error:
            on_error.enter_context(ours)
            permits = on_error.enter_context(contextlib.closing(Permits()))
            inherited = (theirs.fileno(), permits.descriptor)
            self.process = subprocess.Popen(
                [sys.executable, "-m", executors.__name__, app_path, *map(str, inherited)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that what a job has started can be killed with it
            )
            on_error.pop_all()
        self.channel = Channel(ours)
        self.runs: dict[int, Run] = {}  # by number, in order; the first is the one that runs
        self.begun: Run | None = None  # the last one that was said to have begun
        self.done = 0
        self.is_up = False
        self.is_leaving = False  # gets no more jobs
        self.is_ending = False
        self.has_successor = False
        self.is_sent = True
        self.start_seconds = 0.0
        self.dies_at = time.monotonic() + START_SECONDS
        self._permits = permits
        self._last_number = 0
        self._frames: dict[int, bytes] = {}
        self._up_at = 0.0
        self._began_at = time.monotonic()

    @property
    def used(self) -> int:
        """Jobs that it has run or is to run."""
        return self.done + len(self.runs)

    @property
    def first(self) -> Run | None:
        """What it runs, or is about to."""
        return next(iter(self.runs.values()), None)

    def answered(self) -> Run:
        """Its first run is over."""
        self.done += 1
        return self.runs.pop(next(iter(self.runs)))

    def up(self) -> None:
        """It has imported the application."""
        self._up_at = time.monotonic()
        self.start_seconds = self._up_at - self._began_at
        self.is_up = True
        self.dies_at = float("inf")

    def will_leave_soon(self, max_jobs: int) -> bool:
        """A successor that is started now is up about when this one has run its last job."""
        rate = self.done / max(time.monotonic() - self._up_at, 0.001)
        return max_jobs - self.used <= rate * self.start_seconds * _START_MARGIN

    def add(self, run: Run, taken: Taken) -> None:
        """To what `send` sends; `taken`: the job, complete. Raises InvalidInput for a job that can't be sent."""
        number = self._last_number + 1
        self._frames[number] = child.job_frame(number, run, taken)
        self._last_number = number
        self.runs[number] = run
        run.place = self

    def send(self) -> bool:
        """What was added. False: there was no room for all of it; to be called again when there is."""
        frames, self._frames = self._frames, {}
        self.is_sent = True
        with contextlib.suppress(OSError):  # it is gone: that is seen when its answers are read
            self.is_sent = self.channel.send_soon(frames.values())
        if frames:
            self._permits.give(frames)
        return self.is_sent

    def take_back(self) -> dict[int, Run]:
        """What has not begun, and does not any more, unless it is given again."""
        return {number: self.runs.pop(number) for number in self._permits.take_back()}

    def take_back_but_begun(self) -> dict[int, Run]:
        """`take_back`, but it keeps a run that was said to have begun."""
        taken = self.take_back()
        first = next(iter(taken), None)
        if first is not None and taken[first] is self.begun:
            self.runs[first] = taken.pop(first)
            self._permits.give([first])
        return taken

    def leave(self) -> None:
        """It has run all that it was given, and ends."""
        self.is_ending = True
        self.dies_at = time.monotonic() + _END_SECONDS
        self._permits.end()

    def kill(self) -> None:
        """With all that its jobs have started. It is not reaped: `end` does that."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def why_it_went(self) -> str:
        """Of one that is there no more: what it was doing, in words."""
        if not self.is_up:
            return "did not start"
        if self.first is not None:
            return "interrupted" if self.first.is_stopped() else "died in a job"
        return "recycled" if self.is_leaving else "died"

    def end(self) -> int:
        """Kills it if it does not end by itself; returns how it ended, as `Popen.returncode` does."""
        self.channel.close()
        self._permits.close()
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
