"""The `process` executor: a pool of child processes that outlive their jobs.

A child is an interpreter of its own that has imported the application; it gets one job at a time. A timeout or a
cancellation kills it (SIGKILL: nothing in the job can prevent it), and a new one takes its place. A child is replaced
after a number of jobs, or when it has grown beyond a limit, so that leaks stay bounded. A child that dies by itself
(segmentation fault, out of memory) fails its job, and only that.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict
from typing import Any

from tidemill import telemetry
from tidemill.errors import RemoteError
from tidemill.telemetry import Event
from tidemill_consumers import pipeline
from tidemill_consumers.executors import Host, child, frames
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run


class _Child:
    """One child process."""

    def __init__(self, app_path: str) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", child.__name__, app_path, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        self.jobs = 0
        self.megabytes = 0

    def wait_until_up(self) -> bool:
        """False: it could not import the application."""
        return frames.receive(self.channel) is not None

    def end(self) -> int:
        """Kills it if it does not end by itself; returns how it ended, as `Popen.returncode` does."""
        self.channel.close()
        try:
            return self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class ProcessExecutor:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: deque[Run] = deque()
        self._wanted = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False
        self._running: dict[Run, _Child] = {}
        self._most = host.settings.child_processes or max(2, os.cpu_count() or 1)
        self._threads: list[threading.Thread] = []
        self._idle = 0

    def submit(self, run: Run) -> None:
        self._waiting.append(run)
        with self._lock:
            if self._idle < len(self._waiting) and len(self._threads) < self._most:
                thread = threading.Thread(target=self._serve, name="tidemill-process", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._wanted.release()

    def _serve(self) -> None:
        """One thread drives one child at a time."""
        current: _Child | None = None
        while True:
            with self._lock:
                self._idle += 1
            self._wanted.acquire()
            with self._lock:
                self._idle -= 1
            if self._closed:
                break
            try:
                run = self._waiting.popleft()
            except IndexError:  # withdrawn meanwhile
                continue
            current, outcome = self._run(run, current)
            self._host.finished(run, outcome)
        if current is not None:
            current.end()

    def _run(self, run: Run, current: _Child | None) -> tuple[_Child | None, Outcome]:
        current = current or self._spawn()
        if current is None:
            error = RemoteError("ChildFailed", "a child process could not import the application: see its output")
            return None, pipeline.failed(run, error, retryable=run.taken.tries < run.retry.max_attempts)
        with self._lock:
            self._running[run] = current
        run.start(self._host.report)
        self._host.started(run)
        answer = None if run.interrupt else self._converse(run, current)
        with self._lock:
            del self._running[run]
        if run.interrupt is not None or answer is None:
            return None, self._died(run, current)
        current.jobs += 1
        current.megabytes = answer["megabytes"]
        return self._kept(current), child.from_frame(answer)

    def _converse(self, run: Run, current: _Child) -> dict[str, Any] | None:
        """Sends the job, passes progress on, returns the outcome's frame; None when the child died."""
        fields = asdict(run.taken)
        try:
            frames.send(current.channel, {name: fields[name] for name in child.FIELDS})
        except OSError:
            return None
        while True:
            frame = frames.receive(current.channel)
            if frame is None or frame["kind"] != "progress":
                return frame
            self._host.report(run, frame["fraction"], frame["text"])

    def _spawn(self) -> _Child | None:
        started = _Child(self._host.settings.app_path)
        if not started.wait_until_up():
            code = started.end()
            telemetry.event(Event.CHILD_STOPPED, pid=started.process.pid, reason="did not start", exit_code=code)
            return None
        telemetry.event(Event.CHILD_STARTED, pid=started.process.pid)
        return started

    def _died(self, run: Run, current: _Child) -> Outcome:
        if run.interrupt is not None:
            current.process.kill()
        code = current.end()
        if run.interrupt is not None:
            return pipeline.classify(run, RuntimeError("interrupted"))
        telemetry.event(Event.CHILD_STOPPED, pid=current.process.pid, reason="died in a job", exit_code=code)
        error = RemoteError("ChildDied", f"the child process that ran the job {_how(code)}")
        return pipeline.failed(run, error, retryable=run.taken.tries < run.retry.max_attempts)

    def _kept(self, current: _Child) -> _Child | None:
        """The child, or None if its time is over."""
        settings = self._host.settings
        if current.jobs < settings.child_max_jobs and current.megabytes < settings.child_max_megabytes:
            return current
        code = current.end()
        telemetry.event(Event.CHILD_STOPPED, pid=current.process.pid, reason="recycled", exit_code=code)
        return None

    def withdraw(self) -> list[Run]:
        withdrawn: list[Run] = []
        while self._waiting:
            try:
                withdrawn.append(self._waiting.popleft())
            except IndexError:
                break
        return withdrawn

    def interrupt(self, run: Run, why: Interrupt) -> None:
        with self._lock:
            found = self._running.get(run)
            if found is not None:
                found.process.kill()

    def close(self) -> None:
        self._closed = True
        with self._lock:
            for found in self._running.values():
                found.process.kill()
        self._wanted.release(len(self._threads) or 1)
        for thread in self._threads:
            thread.join(3)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
