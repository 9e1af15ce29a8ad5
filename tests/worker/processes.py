"""`tidemill` commands as processes, and the worker of `jobs_app` inside the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
APP = "worker.jobs_app:mill"
# A worker in one process, which a test can signal. The default runs it under a supervisor: test_supervisor.py.
ALONE = "--no-supervisor"


class Command:
    """A command that runs; stdout and stderr go to a file."""

    def __init__(self, arguments: tuple[str, ...], url: str, log: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidemill", *arguments],
                env={**os.environ, "TIDEMILL_URL": url, "PYTHONPATH": str(TESTS), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 20) -> int:
        """The exit code."""
        return self.process.wait(seconds)


@contextmanager
def running(log: Path, url: str, *arguments: str, **environment: str) -> Generator[Command]:
    """A command; stopped at the end if it still runs, so that what it started ends as well."""
    command = Command(arguments, url, log, **environment)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.send(signal.SIGCONT)
            command.send(signal.SIGTERM)
            try:
                command.wait()
            finally:
                command.process.kill()
                command.process.wait()


def is_alive(pid: int) -> bool:
    """A process with this id runs: it is there, and no zombie that waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def lines(path: Path) -> list[str]:
    """Of a journal that a job writes; empty while there is none."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
