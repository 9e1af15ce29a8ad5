"""The processes of a chaos run: they are started again when they end, as a service manager would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaos import application as app
from chaos.history import Recorder

TESTS: Final = Path(__file__).resolve().parent.parent
APP: Final = "chaos.application:mill"
# How soon a process that has ended is started again.
RESTART_SECONDS: Final = 0.2
# How long a process may take to stop when it is told to.
STOP_SECONDS: Final = 30.0


class Process:
    """A place in the fleet; who has it is called `place.generation` in the history."""

    def __init__(self, role: str, place: str, command: Sequence[str], directory: Path, url: str) -> None:
        self.role = role
        self.place = place
        self._command = command
        self._directory = directory
        self._url = url
        self._generation = 0
        self._start_at = 0.0
        self.is_stopped = False
        self.is_wanted = True
        self.popen: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"{self.place}.{self._generation}"

    @property
    def is_up(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def tend(self, recorder: Recorder) -> None:
        """Starts it when it is time to."""
        if self.is_up or not self.is_wanted:
            return
        now = time.monotonic()
        if self.popen is not None:
            recorder.write("exit", target=self.name, code=self.popen.returncode)
            self.popen, self._start_at = None, now + RESTART_SECONDS
        if now >= self._start_at:
            self._start(recorder)

    def _start(self, recorder: Recorder) -> None:
        self._generation += 1
        self.is_stopped = False
        environment = {
            **os.environ,
            "TIDEMILL_URL": self._url,
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            app.DIRECTORY_VARIABLE: str(self._directory),
            app.PROCESS_VARIABLE: self.name,
        }
        with (self._directory / f"{self.name}.log").open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        recorder.write("spawn", target=self.name, pid=self.popen.pid)

    def children(self) -> list[int]:
        """The pids of the processes that it has started."""
        if self.popen is None:
            return []
        path = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        try:
            return [int(pid) for pid in path.read_text(encoding="ascii").split()]
        except OSError:
            return []

    def send(self, number: int, pid: int | None = None) -> None:
        if self.popen is not None and self.is_up:
            try:
                os.kill(pid or self.popen.pid, number)
            except ProcessLookupError:
                return
            self.is_stopped = number == signal.SIGSTOP or (self.is_stopped and number != signal.SIGCONT)

    def wait(self) -> int | None:
        """What it exits with; it is killed when that takes too long."""
        if self.popen is None:
            return None
        try:
            return self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.kill()

    def kill(self) -> None:
        """Of a session of its own, so that nothing is left of what it has started."""
        if self.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


class Fleet:
    """All processes of a run."""

    def __init__(self, recorder: Recorder, processes: Sequence[Process]) -> None:
        self._recorder = recorder
        self._processes = list(processes)

    def tend(self) -> None:
        for process in self._processes:
            process.tend(self._recorder)

    def come(self) -> None:
        """All that have left are wanted again."""
        for process in self._processes:
            process.is_wanted = True
        self.tend()

    def up(self, *roles: str) -> list[Process]:
        """Those that run, and are not stopped by a signal just now."""
        return [one for one in self._processes if one.role in roles and one.is_up and not one.is_stopped]

    def of(self, *roles: str) -> list[Process]:
        return [one for one in self._processes if one.role in roles]

    def leave(self, *roles: str) -> dict[str, int | None]:
        """Stops these for good. Returns what they exited with, by name; None: it had to be killed."""
        leaving = self.of(*roles)
        for one in leaving:
            one.is_wanted = False
            one.send(signal.SIGCONT)
            one.send(signal.SIGTERM)
        codes = {one.name: one.wait() for one in leaving if one.popen is not None}
        for one in leaving:
            one.popen = None
        for name, code in codes.items():
            self._recorder.write("exit", target=name, code=code)
        return codes

    def kill(self) -> None:
        for one in self._processes:
            one.kill()
