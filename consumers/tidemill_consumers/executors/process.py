"""The `process` executor: a pool of child processes that outlive their jobs.

A child is an interpreter of its own that has imported the application; it gets one job at a time. A timeout or a
cancellation kills it (SIGKILL: nothing in the job can prevent it) with all that the job has started, and a new one
takes its place. A child is replaced after a number of jobs, or when it has grown beyond a limit, so that leaks stay
bounded. A child that dies by itself (segmentation fault, out of memory) fails its job, and only that; one that can't be
started fails none: the job is parked, until a worker can.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from tidemill import telemetry
from tidemill.errors import InvalidInput, RemoteError
from tidemill.telemetry import Event
from tidemill_consumers import pipeline
from tidemill_consumers.executors import Host, child
from tidemill_consumers.executors.child_process import ChildProcess, how_it_ended
from tidemill_consumers.executors.frames import Frame
from tidemill_consumers.executors.pool import Pool
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run

# How long `close` waits for each thread to reap its child.
_JOIN_SECONDS: Final = 3.0


class _Runner:
    """One thread's: it drives one child at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._child: ChildProcess | None = None
        self._killed = threading.Event()

    def run(self, run: Run) -> Outcome:
        current = self._child or self._spawn(run)
        if current is None:
            if run.is_stopped():
                return pipeline.classify(run, RuntimeError("interrupted"))
            return pipeline.parked(run.taken, "a child process could not import the application: see its output")
        run.place = current
        current.enter(run)
        run.start(self._host.report)
        self._host.started(run)
        try:
            answer = None if run.is_stopped() else self._converse(run, current)
        except InvalidInput as error:
            return pipeline.corrupt(str(error))
        finally:
            current.leave()
        # After it has left, nobody kills the child any more: whether it was stopped is decided now.
        if run.is_stopped() or answer is None:
            return self._died(run, current)
        self._count(current, answer)
        return child.outcome_of(answer)

    def _spawn(self, run: Run) -> ChildProcess | None:
        try:
            started = ChildProcess(self._host.settings.app_path)
        except OSError as error:
            telemetry.event(Event.CHILD_STOPPED, reason=f"did not start: {error}")
            return None
        self._child = run.place = started
        started.enter(run)
        if self._killed.is_set() or run.is_stopped():
            started.kill()
        is_up = started.wait_until_up()
        started.leave()
        if not is_up:
            self._end(started, "did not start")
            return None
        telemetry.event(Event.CHILD_STARTED, pid=started.process.pid)
        return started

    def _converse(self, run: Run, current: ChildProcess) -> Frame | None:
        """Sends the job, passes progress on, returns the outcome's frame; None when the child died."""
        message, payload = child.job_frame(run.taken)
        try:
            current.channel.send(message, payload)
        except OSError:
            return None
        while True:
            frame = current.channel.receive()
            if frame is None or frame.message.get("kind") != "progress":
                return frame
            # A thread that an earlier job left behind may still report.
            if (frame.message["id"], frame.message["attempt"]) == (run.taken.id, run.taken.attempt):
                self._host.report(run, frame.message["at"], frame.message["text"])

    def _died(self, run: Run, current: ChildProcess) -> Outcome:
        if run.is_stopped():
            current.kill()
            self._end(current, "interrupted")
            return pipeline.classify(run, RuntimeError("interrupted"))
        code = self._end(current, "died in a job")
        error = RemoteError("ChildDied", f"the child process that ran the job {how_it_ended(code)}")
        return pipeline.failed(run, error, retryable=run.taken.tries < run.retry.max_attempts)

    def _count(self, current: ChildProcess, answer: Frame) -> None:
        """One job more; and the child goes if its time is over."""
        current.jobs += 1
        current.megabytes = answer.message["megabytes"]
        settings = self._host.settings
        if current.jobs >= settings.child_max_jobs or current.megabytes >= settings.child_max_megabytes:
            self._end(current, "recycled")

    def _end(self, current: ChildProcess, reason: str) -> int:
        self._child = None
        code = current.end()
        telemetry.event(Event.CHILD_STOPPED, pid=current.process.pid, reason=reason, exit_code=code)
        return code

    def kill(self) -> None:
        """From any thread: what it runs is given up, and no child is started any more."""
        self._killed.set()
        current = self._child
        if current is not None:
            current.give_up()

    def close(self) -> None:
        if self._child is not None:
            self._end(self._child, "worker stopped")


class ProcessExecutor(Pool):
    def __init__(self, host: Host) -> None:
        most = host.settings.child_processes or max(2, os.cpu_count() or 1)
        super().__init__("process", most, host, self._new_runner)
        self._runners: list[_Runner] = []

    def _new_runner(self) -> _Runner:
        runner = _Runner(self._host)
        self._runners.append(runner)
        return runner

    def interrupt(self, run: Run, why: Interrupt) -> None:
        if isinstance(run.place, ChildProcess):
            run.place.interrupt(run)

    def close(self) -> None:
        super().close()
        for runner in self._runners:
            runner.kill()
        self.join(_JOIN_SECONDS)
