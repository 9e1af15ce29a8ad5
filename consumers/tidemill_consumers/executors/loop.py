"""The `async` executor: one event loop in a thread of its own.

Its own thread, because a job that blocks the loop must stop neither the reading nor the settling of other jobs, nor the
lease. A timeout or a cancellation cancels the job's asyncio task: it ends at its next `await`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final, cast

from tidemill import telemetry
from tidemill.names import type_name
from tidemill.telemetry import Event
from tidemill_consumers import pipeline
from tidemill_consumers.background import background
from tidemill_consumers.executors import Host
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run

# At the end: how long what is cancelled may take to clean up.
_CANCEL_SECONDS: Final = 1.0


class LoopExecutor:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: deque[Run] = deque()
        self._is_called = False  # the loop is about to look at what waits
        self._free = host.settings.concurrency
        self._loop = asyncio.new_event_loop()
        self._closing = threading.Event()
        self._thread = background("loop", self._serve, host.failed)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._closing.is_set():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A task that a job has started raised it, and asyncio lets it through; the loop can go on.
                telemetry.event(Event.WORKER_FAILED, role="loop", error=type_name(type(error)))
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=_CANCEL_SECONDS))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        # What jobs have opened with their application: its connections belong to this loop.
        self._loop.run_until_complete(self._host.client.aclose_here())
        self._loop.close()

    def submit(self, run: Run) -> None:
        self._waiting.append(run)
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._fill)

    def _fill(self) -> None:
        self._is_called = False  # before it looks: what is submitted from now on calls it again
        while self._free > 0 and self._waiting:
            try:
                run = self._waiting.popleft()
            except IndexError:  # withdrawn meanwhile
                return
            self._free -= 1
            run.place = self._loop.create_task(self._serve_one(run), name=run.taken.id)

    async def _serve_one(self, run: Run) -> None:
        try:
            self._host.finished(run, await self._run(run))
        except Exception as error:  # noqa: BLE001 - not the job's: those are outcomes
            self._host.failed("loop", error)
        self._free += 1
        if self._waiting:
            self._fill()

    async def _run(self, run: Run) -> Outcome:
        context = run.start(self._host.report)
        self._host.started(run)
        try:
            if run.interrupt is not None:  # before its first step
                raise asyncio.CancelledError
            outcome: Outcome = await pipeline.call_async(run, context, self._host.client)
            if run.is_stopped():  # it caught the cancellation and went on
                outcome = pipeline.classify(run, asyncio.CancelledError())
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
            outcome = pipeline.classify(run, error)
        return outcome

    def withdraw(self) -> list[Run]:
        withdrawn: list[Run] = []
        while self._waiting:
            try:
                withdrawn.append(self._waiting.popleft())
            except IndexError:
                break
        return withdrawn

    def interrupt(self, run: Run, why: Interrupt) -> None:
        def cancel() -> None:
            task = cast("asyncio.Task[None] | None", run.place)
            if task is not None:
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2 * _CANCEL_SECONDS)
