"""Producers and workers of a run, as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from benchmarks import recorder
from benchmarks.delay import lead_seconds
from benchmarks.recorder import DIRECTORY_VARIABLE, Start
from benchmarks.system import URL_VARIABLE
from benchmarks.verification import DoesNotCount, each_once
from conditions import eventually
from servers import Server

TESTS: Final = Path(__file__).resolve().parents[1]
# A run that stands still for this long does not end.
DEADLINE_SECONDS: Final = 120.0
# Of the systems whose workers were started before: a process to ask takes a fifth of a second.
_commands: Final[dict[str, list[str]]] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one system on one server: its files are in a directory of its own."""

    url: str
    directory: Path

    def environment(self) -> dict[str, str]:
        found = {
            **os.environ,
            URL_VARIABLE: self.url,
            DIRECTORY_VARIABLE: str(self.directory),
            "TIDEMILL_URL": self.url,
        }
        found["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        found["PYTHONWARNINGS"] = "ignore"
        return found

    def program(self, module: str, *words: object) -> dict[str, float]:
        """Runs `python -m benchmarks.<module>` and returns the JSON that it prints last.

        Raises DoesNotCount when it fails.
        """
        command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DoesNotCount(f"{' '.join(command[2:])} failed: {done.stderr.strip()[-400:]}")
        return cast("dict[str, float]", json.loads(done.stdout.splitlines()[-1]))

    def produce(self, system: str, action: str, *numbers: float) -> dict[str, float]:
        """What the producer prints: see `produce.py`."""
        return self.program("produce", system, action, *numbers)

    def delay(self, pattern: str, jobs: int, seconds: float) -> dict[str, float]:
        """What the producer of delayed jobs prints: see `delay.py`. Raises DoesNotCount if some were due too early."""
        answer = self.program("delay", pattern, jobs, seconds, lead_seconds(jobs, seconds))
        if answer["left_ms"] < 0:
            raise DoesNotCount(f"{-answer['left_ms']:.0f} ms of the run were over before all was enqueued")
        return answer

    def noted(self, starts: int) -> None:
        """Waits until so many starts are noted; raises DoesNotCount when that takes too long."""
        try:
            eventually(lambda: recorder.count(self.directory) >= starts, f"{starts} starts", DEADLINE_SECONDS)
        except AssertionError as error:
            seen, log = recorder.count(self.directory), self.log()
            raise DoesNotCount(f"{seen} of {starts} jobs ran in {DEADLINE_SECONDS:g} s; {log}") from error

    def finished(self, jobs: int, extra: int = 0) -> list[Start]:
        """Waits until the jobs from 0 on are started, and returns their starts: each must have run, and once.

        extra: jobs before them that were probes, with negative numbers.
        """
        self.noted(jobs + extra)
        starts = self.starts()
        each_once(starts, jobs)
        return starts

    def starts(self) -> list[Start]:
        """Those that are noted by now, without probes."""
        return [start for start in recorder.read(self.directory) if start.number >= 0]

    def log(self) -> str:
        """The end of what the run's processes printed."""
        path = self.directory / "output.log"
        return path.read_text(errors="replace")[-400:] if path.exists() else ""

    def registered(self, server: Server, workers: int) -> None:
        """Waits until so many of our workers are up."""
        what = f"{workers} workers are up"
        eventually(lambda: server.client.zcard("tm:{0}:workers") == workers, what, DEADLINE_SECONDS)

    def settled(self, server: Server, jobs: int) -> None:
        """Waits until so many jobs have succeeded, by Tidemill's own counter, and none ended in another way."""
        key = "tm:{0}:queue:default"

        def are_settled() -> bool:
            return int(server.client.hget(key, "succeeded") or 0) >= jobs

        try:
            eventually(are_settled, f"{jobs} jobs are settled", DEADLINE_SECONDS)
        except AssertionError as error:
            raise DoesNotCount(f"{server.client.hget(key, 'succeeded')} of {jobs} jobs were settled") from error

    @contextmanager
    def worker(self, system: str) -> Generator[int]:
        """One worker process of the system, as its own command starts it: its pid."""
        with self.process(self.worker_command(system)) as pid:
            yield pid

    def worker_command(self, system: str) -> list[str]:
        """Asked in a process of its own: a peer's module binds itself to the server when it is imported.

        Once for each system, unless its command names the server.
        """
        if system in _commands:
            return _commands[system]
        program = f"import json; from benchmarks.system import load; print(json.dumps(load({system!r}).worker()))"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DoesNotCount(f"{system} can't be imported: {done.stderr.strip()[-400:]}")
        words = cast("list[str]", json.loads(done.stdout.splitlines()[-1]))
        if self.url not in words:
            _commands[system] = words
        return words

    @contextmanager
    def process(self, command: Sequence[str]) -> Generator[int]:
        """A process, and all that it starts, until the end of the block; its output goes to the run's directory."""
        with (self.directory / "output.log").open("ab") as output:
            started = subprocess.Popen(
                command,
                env=self.environment(),
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,
            )
        try:
            yield started.pid
            if started.poll() is not None:
                raise DoesNotCount(f"{' '.join(command[1:])} ended with {started.returncode}: {self.log()}")
        finally:
            _kill(started)


def tidemill(*words: str) -> list[str]:
    """The `tidemill` command of this interpreter's environment."""
    return [sys.executable, "-m", "tidemill", *words]


def _kill(started: subprocess.Popen[bytes]) -> None:
    """At once: what a run was to tell is written by then, and some take their time to stop.

    The parents first, which would start their children again. Some children have left the process group.
    """
    for pid in [started.pid, *descendants(started.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    started.wait()


def stat_fields(pid: int) -> list[str]:
    """What the system tells of a process, from its state on; [] when it is gone: then there is no file, or no text."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def descendants(pid: int) -> list[int]:
    """Those whose chain of parents leads to this process."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        if fields := stat_fields(int(path.name)):
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found = list(children.get(pid, ()))
    for child in found:
        found += children.get(child, ())
    return found


@contextmanager
def new_run(url: str) -> Generator[Run]:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        yield Run(url, Path(directory))
