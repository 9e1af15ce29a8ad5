"""Runs operations. An operation is a generator that yields what it needs from the outside and is sent the answer:

- a `Command`: sent to the server, answered with its parsed reply;
- a `Pause`: waited for, answered with whether it was over in time.

So each call is written once; `run` drives it for threads, `arun` for event loops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import Scripts

if TYPE_CHECKING:
    from tidemill.connection import AsyncLink, Link
    from tidemill.waiter import Waiter, Wakeup

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits for a wakeup; at most `seconds` (None: for ever)."""

    wakeup: Wakeup
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Blocking:
    """A short call that blocks, for instance to start a thread: an event loop makes it in a thread of its own."""

    function: Callable[[], object]


Operation = Generator[Command[Any] | Pause | Blocking, Any, T]

_OVER = ("succeeded", "dead", "cancelled", "expired")


class Client:
    """What all tasks and jobs of one Tidemill share: links, scripts, codec, waiter."""

    def __init__(self, target: Target, keys: Keys, codec: Codec) -> None:
        self.target = target
        self.codec = codec
        self.scripts = Scripts(keys)
        self.queues_by_task: dict[str, str] = {}

    # redis-py takes most of a second's quarter to import: only a process that talks to the server pays for it.

    @cached_property
    def link(self) -> Link:
        from tidemill.connection import Link

        return Link(self.target)

    @cached_property
    def async_link(self) -> AsyncLink:
        from tidemill.connection import AsyncLink

        return AsyncLink(self.target)

    @cached_property
    def _waiter(self) -> Waiter:
        from tidemill.waiter import Waiter

        return Waiter(self.target, self.scripts.keys)

    def run(self, operation: Operation[T]) -> T:
        try:
            step = operation.send(None)
            while True:
                try:
                    answer = self._perform(step)
                except BaseException as error:  # noqa: BLE001 - the operation decides
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as over:
            result: T = over.value
            return result

    async def arun(self, operation: Operation[T]) -> T:
        try:
            step = operation.send(None)
            while True:
                try:
                    answer = await self._aperform(step)
                except BaseException as error:  # noqa: BLE001 - the operation decides
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as over:
            result: T = over.value
            return result

    def _perform(self, step: Command[Any] | Pause | Blocking) -> object:
        if isinstance(step, Command):
            return self.link.run(step)
        if isinstance(step, Pause):
            return step.wakeup.wait(step.seconds)
        return step.function()

    async def _aperform(self, step: Command[Any] | Pause | Blocking) -> object:
        if isinstance(step, Command):
            return await self.async_link.run(step)
        if isinstance(step, Pause):
            return await step.wakeup.await_(step.seconds)
        return await asyncio.to_thread(step.function)

    def wait_until_over(self, job_id: str, timeout: float | None) -> Operation[None]:
        """Returns when the job is over or unknown. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            wakeup: Wakeup = yield Blocking(lambda: self._waiter.add(job_id))
            try:
                state = yield self.scripts.watch(job_id, self._waiter.name)
                if state in _OVER or not state:
                    return
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not (yield Pause(wakeup, left)):
                    raise TimeoutError(f"job {job_id} was not over after {timeout:g} s; it is {state}")
            finally:
                self._waiter.discard(job_id, wakeup)

    def close(self) -> None:
        """Closes what was opened; the next call opens it again."""
        if "_waiter" in self.__dict__:
            self._waiter.close()
        if "link" in self.__dict__:
            self.link.close()

    async def aclose(self) -> None:
        """`close` for async code; also closes the connections of the running loop."""
        await asyncio.to_thread(self.close)
        if "async_link" in self.__dict__:
            await self.async_link.close()
