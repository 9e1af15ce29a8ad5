"""Runs operations. An operation is a generator that yields what it needs from the outside and is sent the answer:

- a `Command`: sent to the server, answered with its parsed reply;
- a `Dialogue`: held on one connection, answered with what it returns;
- a `Batch` of commands: sent in one round trip, answered with the list of their parsed replies;
- a `Sleep`: slept;
- a `Pause`: waited for, answered with whether it was over in time;
- a `Blocking` call: made, in a thread if an event loop asks.

So each call is written once; `run` drives it for threads, `arun` for event loops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from tidemill.admission import Pressures
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Dialogue
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import Scripts
from tidemill.wire.signing import Signing

if TYPE_CHECKING:
    from tidemill.breakers.hub import Hub
    from tidemill.connection import AsyncLink, Link
    from tidemill.templates.catalog import Catalog
    from tidemill.waiter import Waiter, Wakeup

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands for one round trip. Each may be sent again if one fails for a passing reason."""

    commands: Sequence[Command[Any]]


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits for a wakeup; at most `seconds` (None: for ever)."""

    wakeup: Wakeup
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nothing happens for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Blocking:
    """A call that may block: an event loop makes it in a thread."""

    function: Callable[[], object]


Step = Command[Any] | Dialogue[Any] | Batch | Pause | Sleep | Blocking
Operation = Generator[Step, Any, T]

_UNDER_WAY: Final = ("scheduled", "ready", "running")


class Client:
    """What all tasks and jobs of one Tidemill share: links, scripts, codec, keys to sign with, waiter."""

    def __init__(
        self, target: Target, keys: Keys, codec: Codec, deadline_seconds: float, signing: Signing | None = None
    ) -> None:
        self.target = target
        self.codec = codec
        self.signing = signing
        self.scripts = Scripts(keys)
        self.queues_by_task: dict[str, str] = {}
        self.pressures = Pressures()
        self._deadline_seconds = deadline_seconds

    # What not every program needs is imported and made at its first use: redis-py alone takes most of a second's
    # quarter to import. All of it holds state, so threads whose first use is at the same time must get the same one:
    # `setdefault` keeps the first that was made (since Python 3.12 a cached_property takes no lock).

    @cached_property
    def catalog(self) -> Catalog:
        from tidemill.templates.catalog import Catalog

        return cast("Catalog", self.__dict__.setdefault("catalog", Catalog(self)))

    @cached_property
    def breakers(self) -> Hub:
        from tidemill.breakers.hub import Hub

        return cast("Hub", self.__dict__.setdefault("breakers", Hub(self.target, self.scripts)))

    @cached_property
    def _waiter(self) -> Waiter:
        from tidemill.waiter import Waiter

        return cast("Waiter", self.__dict__.setdefault("_waiter", Waiter(self.target, self.scripts.keys)))

    @cached_property
    def link(self) -> Link:
        from tidemill.connection import Link

        return cast("Link", self.__dict__.setdefault("link", Link(self.target, self._deadline_seconds)))

    @cached_property
    def async_link(self) -> AsyncLink:
        from tidemill.connection import AsyncLink

        made = AsyncLink(self.target, self._deadline_seconds)
        return cast("AsyncLink", self.__dict__.setdefault("async_link", made))

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

    def _perform(self, step: Step) -> object:
        match step:
            case Command():
                return self.link.run(step)
            case Dialogue():
                return self.link.converse(step)
            case Batch():
                return self.link.run_all(step.commands) if step.commands else []
            case Pause():
                return step.wakeup.wait(step.seconds)
            case Sleep():
                time.sleep(step.seconds)
                return None
            case Blocking():
                return step.function()

    async def _aperform(self, step: Step) -> object:
        match step:
            case Command():
                return await self.async_link.run(step)
            case Dialogue():
                return await self.async_link.converse(step)
            case Batch():
                return await self.async_link.run_all(step.commands) if step.commands else []
            case Pause():
                return await step.wakeup.await_(step.seconds)
            case Sleep():
                import asyncio  # half of what `import tidemill` would take; whoever comes here has it already

                await asyncio.sleep(step.seconds)
                return None
            case Blocking():
                import asyncio

                return await asyncio.to_thread(step.function)

    def pause_until_over(self, job_id: str, timeout_seconds: float | None) -> Operation[None]:
        """Returns when the job is over or unknown, after the timeout, and sometimes for nothing: look at the job."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        wakeup = self._waiter.register(job_id)
        try:
            if not wakeup.is_heard:
                most = self._deadline_seconds if timeout_seconds is None else timeout_seconds
                yield Blocking(partial(wakeup.until_heard, min(most, self._deadline_seconds)))
            state = yield self.scripts.watch(job_id, wakeup.channel)
            if state in _UNDER_WAY:
                yield Pause(wakeup, None if deadline is None else max(0.0, deadline - time.monotonic()))
        finally:
            self._waiter.discard(job_id, wakeup)

    def close(self) -> None:
        """Closes what was opened; the next call opens it again."""
        if "_waiter" in self.__dict__:
            self._waiter.close()
        if "breakers" in self.__dict__:
            self.breakers.close()
        if "link" in self.__dict__:
            self.link.close()

    async def aclose(self) -> None:
        """`close` for async code; also closes the connections of the running loop."""
        import asyncio

        await asyncio.to_thread(self.close)
        await self.aclose_here()

    async def aclose_here(self) -> None:
        """Closes the connections of the running loop, which is about to end."""
        if "async_link" in self.__dict__:
            await self.async_link.close()
