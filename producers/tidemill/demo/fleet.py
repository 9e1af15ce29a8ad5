"""The scheduler and the workers, as processes whose logs go to files; one that ends is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tidemill.demo.app import FILES, FOLDERS, SAMPLES
from tidemill.lifecycle import supervise

# Jobs that a worker holds beside those in its child processes: enough for the short ones to pass the long ones, few
# enough for a delayed file not to wait behind many.
_BESIDE_CHILDREN: Final = 3
# What running jobs get to end in when the demo is over or stopped.
_GRACE_SECONDS: Final = 2
# How long a process may take to end after that, before it is killed.
_EXIT_SECONDS: Final = 15.0
# Processes started again before the demo gives up: they would only end again.
_MAX_RESTARTS: Final = 10


class _Member:
    """One process. It is started at once, and may be started again."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments
        log.unlink(missing_ok=True)
        self.process = self._start()

    def restart(self) -> None:
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tidemill", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which stops its fleet in order
            )


class Fleet:
    """One scheduler and `workers` worker processes on the server that TIDEMILL_URL names; started when made."""

    def __init__(self, workers: int, lease_seconds: float, logs: Path) -> None:
        supervise()
        self._members = [_Member("scheduler", ["scheduler"], logs / "scheduler.log")]
        arguments = _worker_arguments(workers, lease_seconds)
        for number in range(1, workers + 1):
            self._members.append(_Member(f"worker {number}", arguments, logs / f"worker-{number}.log"))
        self.restarts = 0

    @property
    def worker_pids(self) -> set[str]:
        return {str(member.process.pid) for member in self._members[1:]}

    def describe(self) -> str:
        return ", ".join(f"{member.name} (pid {member.process.pid})" for member in self._members)

    def tend(self) -> list[str]:
        """Starts again what has ended; says so. Raises RuntimeError when that does not help."""
        news: list[str] = []
        for member in self._members:
            code = member.process.poll()
            if code is None:
                continue
            if self.restarts >= _MAX_RESTARTS:
                raise RuntimeError(f"{member.name} ends again and again (exit code {code}): see {member.log}")
            self.restarts += 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            member.restart()
            news.append(f"{member.name} {how}; started again (pid {member.process.pid})")
        return news

    def stop(self) -> None:
        for member in self._members:
            member.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS + _EXIT_SECONDS
        for member in self._members:
            try:
                member.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()


def _worker_arguments(workers: int, lease_seconds: float) -> list[str]:
    children = max(1, (os.cpu_count() or 1) // workers)
    return [
        "worker",
        "tidemill.demo.app:mill",
        "--no-supervisor",
        f"--queues={FILES},{FOLDERS},{SAMPLES}",
        f"--concurrency={children + _BESIDE_CHILDREN}",
        f"--child-processes={children}",
        f"--lease={lease_seconds}",
        f"--grace={_GRACE_SECONDS}",
    ]


@contextmanager
def running_fleet(workers: int, lease_seconds: float, logs: Path) -> Generator[Fleet]:
    """A fleet that is stopped at the end, whatever happens."""
    fleet = Fleet(workers, lease_seconds, logs)
    try:
        yield fleet
    finally:
        fleet.stop()
