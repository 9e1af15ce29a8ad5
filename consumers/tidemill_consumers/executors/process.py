"""The `process` executor: a pool of child processes that outlive their jobs.

A child is an interpreter of its own that has imported the application; it runs one job at a time. A timeout or a
cancellation kills it (SIGKILL: nothing in the job can prevent it) with all that the job has started, and a new one
takes its place. A child is replaced after a number of jobs, or when it has grown beyond a limit, so that leaks stay
bounded; its successor is started in time. A child that dies by itself (segmentation fault, out of memory) fails its
job, and only that; one that can't be started fails none: the job is parked, until a worker can.

One thread speaks with all children. It sends several jobs ahead to each, so that none waits for the next one; those
that have not begun come back when their child is killed or dies, and when another child is free: see `permits`. What
other threads want is posted to this thread, which alone knows the children.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import Final

from tidemill import telemetry
from tidemill.errors import InvalidInput
from tidemill.telemetry import Event
from tidemill_consumers import pipeline
from tidemill_consumers.background import background
from tidemill_consumers.executors import Host, child
from tidemill_consumers.executors.child_process import ChildProcess, how_it_ended
from tidemill_consumers.executors.children import Children
from tidemill_consumers.executors.frames import Frame
from tidemill_consumers.executors.mailbox import Mailbox
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run

# How often children that should do something are looked at: one may have died, and what it forked keep its socket open.
_LOOK_SECONDS: Final = 1.0
# How long another thread waits for this one's answer: it may just be starting a child.
_ANSWER_SECONDS: Final = 5.0
# How long `close` waits for all children to be reaped.
_JOIN_SECONDS: Final = 3.0


class ProcessExecutor:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._settings = host.settings
        self._waiting: deque[Run] = deque()
        self._over: list[tuple[Run, Outcome]] = []
        self._children = Children(host.settings)
        self._selector = selectors.DefaultSelector()
        self._mailbox = Mailbox()
        self._selector.register(self._mailbox, selectors.EVENT_READ)
        self._look_at = 0.0
        self._start_at = 0.0
        self._closing = False
        self._thread = background("process", self._serve, host.failed)
        self._thread.start()

    # -- for other threads --------------------------------------------------------------------------------------

    def submit(self, run: Run) -> None:
        self._waiting.append(run)
        self._mailbox.wake()

    def withdraw(self) -> list[Run]:
        """What waits, here or in a child."""
        return self._mailbox.ask(self._withdraw, _ANSWER_SECONDS) or []

    def interrupt(self, run: Run, why: Interrupt) -> None:
        self._mailbox.post(lambda: self._interrupt(run))

    def close(self) -> None:
        def end() -> None:
            self._closing = True

        self._mailbox.post(end)
        self._thread.join(_JOIN_SECONDS)

    # -- the thread ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._mailbox.watch()
                self._supply()
                self._report()
                for key, events in self._selector.select(self._patience()):
                    if key.data is not None and events & selectors.EVENT_WRITE:
                        self._send(key.data)
                    if key.data is not None and events & selectors.EVENT_READ:
                        self._hear(key.data)
                self._mailbox.read()
                self._look()
        finally:
            self._end_all()

    def _patience(self) -> float | None:
        return None if self._children.is_quiet() and not self._waiting else _LOOK_SECONDS

    def _report(self) -> None:
        over, self._over = self._over, []
        for run, outcome in over:
            self._host.finished(run, outcome)

    def _finish(self, run: Run, outcome: Outcome) -> None:
        self._over.append((run, _stopped(run) if run.is_stopped() else outcome))

    # -- giving -------------------------------------------------------------------------------------------------

    def _supply(self) -> None:
        """Gives what waits to children, starts those that are missing, and lets those go whose time is over."""
        for one in self._children:
            if one.is_leaving and not one.runs and not one.is_ending:
                one.leave()
        for _ in self._children.without_successor():
            self._start()
        if time.monotonic() >= self._start_at:
            for _ in range(self._children.missing(len(self._waiting))):
                self._start()
        ready = self._children.ready()
        if not self._waiting and not all(one.runs for one in ready):
            self._take_from_the_busiest()
        if self._waiting and ready:
            for one, count in self._children.shares(ready, len(self._waiting)):
                self._give(one, count)

    def _start(self) -> None:
        try:
            one = ChildProcess(self._settings.app_path)
        except OSError as error:
            telemetry.event(Event.CHILD_STOPPED, reason=f"did not start: {error}")
            self._did_not_start()
        else:
            self._children.add(one)
            self._selector.register(one.channel, selectors.EVENT_READ, one)

    def _did_not_start(self) -> None:
        """What waits is parked, unless there are other children to run it."""
        self._start_at = time.monotonic() + _LOOK_SECONDS
        while self._waiting and not self._children.is_any_staying():
            run = self._waiting.popleft()
            reason = "a child process could not import the application: see its output"
            self._finish(run, pipeline.parked(run.taken, reason))

    def _give(self, one: ChildProcess, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            run = self._waiting.popleft()
            if run.is_stopped():
                self._finish(run, _stopped(run))
                continue
            if run.guard is not None and (held := run.guard.enter(run)) is not None:
                self._finish(run, held)
                continue
            self._add(one, run)
        self._children.given(one)
        self._send(one)
        self._begin(one)

    def _add(self, one: ChildProcess, run: Run) -> None:
        try:
            taken = pipeline.complete(run, self._host.client.codec)
        except Exception as error:  # noqa: BLE001 - an upcaster of the application may raise anything
            self._finish(run, pipeline.classify(run, error))
            return
        try:
            one.add(run, taken)
        except InvalidInput as error:
            self._finish(run, pipeline.corrupt(str(error)))

    def _send(self, one: ChildProcess) -> None:
        was_sent, is_sent = one.is_sent, one.send()
        if was_sent != is_sent:  # the rest is sent when there is room
            events = selectors.EVENT_READ if is_sent else selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(one.channel, events, one)

    def _begin(self, one: ChildProcess) -> None:
        """Its first run has begun: it was idle, or has sent the answer of the one before."""
        run = one.first
        if run is None or run is one.begun:
            return
        one.begun = run
        # One that was taken back just before it did begin keeps its beginning.
        if not run.started_at:
            run.start(self._host.report)
            self._host.started(run)

    # -- taking back --------------------------------------------------------------------------------------------

    def _take_from_the_busiest(self) -> None:
        """A child is free: none of those that wait behind other jobs shall wait any longer."""
        busiest = self._children.busiest()
        if busiest is None:
            return
        self._waiting.extendleft(reversed(busiest.take_back_but_begun().values()))

    def _withdraw(self) -> list[Run]:
        withdrawn = [run for one in self._children for run in one.take_back().values()]
        withdrawn += self._waiting
        self._waiting.clear()
        return withdrawn

    def _interrupt(self, run: Run) -> None:
        one = run.place
        if run in self._waiting:
            self._waiting.remove(run)
            self._finish(run, _stopped(run))
        elif isinstance(one, ChildProcess) and one in self._children:
            # In this order: what is not taken back, and has no answer then, is what runs.
            taken = one.take_back()
            self._hear(one)
            if run in one.runs.values():
                one.is_leaving = one.has_successor = True
                one.kill()
            elif run in taken.values():
                self._finish(run, _stopped(run))
            self._waiting.extendleft(back for back in reversed(taken.values()) if back is not run)

    # -- what children say --------------------------------------------------------------------------------------

    def _hear(self, one: ChildProcess) -> None:
        frames, is_there = one.channel.receive_all()
        for frame in frames:
            self._heard(one, frame)
        if not is_there:
            self._gone(one)

    def _heard(self, one: ChildProcess, frame: Frame) -> None:
        match frame.message.get("kind"):
            case "up":
                one.up()
                telemetry.event(Event.CHILD_STARTED, pid=one.process.pid)
            case "progress":
                run, attempt = one.first, (frame.message["id"], frame.message["attempt"])
                # A thread that an earlier job left behind may still report.
                if run is not None and (run.taken.id, run.taken.attempt) == attempt:
                    self._host.report(run, frame.message["at"], frame.message["text"])
            case _ if one.runs:
                self._answered(one, frame)
            case _:
                pass

    def _answered(self, one: ChildProcess, frame: Frame) -> None:
        run = one.answered()
        run.verdict = frame.message.get("verdict")
        self._finish(run, child.outcome_of(frame))
        if frame.message.get("megabytes", 0) >= self._settings.child_max_megabytes:
            one.is_leaving = True
            self._waiting.extendleft(reversed(one.take_back().values()))
        self._begin(one)

    # -- ends ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Finds children that have died, and kills those that take too long to start or to end."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        for one in self._children:
            if one.process.poll() is not None:
                self._hear(one)
                self._gone(one)
            elif now >= one.dies_at:
                one.kill()

    def _gone(self, one: ChildProcess) -> None:
        if one not in self._children:
            return
        self._children.remove(one)
        taken = one.take_back()
        running = [*one.runs.values()]  # one at most
        code = self._end(one, one.why_it_went())
        for run in running:
            self._finish(run, pipeline.child_died(run, how_it_ended(code)))
        one.runs.clear()
        self._waiting.extendleft(reversed(taken.values()))
        if not one.is_up:
            self._did_not_start()

    def _end(self, one: ChildProcess, reason: str) -> int:
        self._selector.unregister(one.channel)
        code = one.end()
        telemetry.event(Event.CHILD_STOPPED, pid=one.process.pid, reason=reason, exit_code=code)
        return code

    def _end_all(self) -> None:
        for one in self._children:
            if one.runs or not one.is_up:
                one.kill()
            else:
                one.leave()
        for one in self._children:
            self._children.remove(one)
            self._end(one, "worker stopped")
        self._selector.close()
        self._mailbox.close()


def _stopped(run: Run) -> Outcome:
    return pipeline.classify(run, RuntimeError("interrupted"))
