"""`AsyncLink`: commands to the server from any event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from tidemill import settings
from tidemill.connection.attempts import Attempts, checked, conduct, examine
from tidemill.connection.driver import (
    LOST,
    is_out_of_step,
    make_async_wire,
    merge_loaded,
    missing_scripts,
    pack,
    with_loads,
)
from tidemill.connection.sentinel import locate
from tidemill.errors import TidemillError
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Dialogue, Facts

T = TypeVar("T")


class _AsyncLine:
    """One async connection; the twin of `Line`."""

    def __init__(self, target: Target, reply_timeout_seconds: float) -> None:
        self._target = target
        self._reply_timeout_seconds = reply_timeout_seconds
        self.facts: Facts = {}
        self.is_cut = False  # by `interrupt`
        self._place = locate(target)
        self._wire = make_async_wire(self._place.url, reply_timeout_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._place.enter(self)
        async with asyncio.timeout(self._reply_timeout_seconds):
            await self._wire.connect()
        self._place.check(await self._talk(self._place.questions) if self._place.questions else ())
        if not self._target.examined:
            examine(self._target, (await self._talk([("INFO",)]))[0])

    async def _talk(self, words: Sequence[Sequence[object]]) -> list[object]:
        replies: list[object] = []
        async with asyncio.timeout(self._reply_timeout_seconds) as limit:
            await self._wire.send_packed_command(pack(words), check_health=False)
            for _ in words:
                limit.reschedule(asyncio.get_running_loop().time() + self._reply_timeout_seconds)
                replies.append(await self._read())
        return replies

    async def _read(self) -> object:
        try:
            return await self._wire.read_response()
        except ResponseError as error:
            return error

    async def exchange(self, commands: Sequence[Command[Any]]) -> list[object]:
        replies = await self._talk([command.words for command in commands])
        missing = missing_scripts(commands, replies)
        return merge_loaded(replies, missing, await self._talk(with_loads(commands, missing))) if missing else replies

    async def converse(self, dialogue: Dialogue[T], attempts: Attempts) -> T:
        turns = conduct(self._target, dialogue, self.facts, attempts)
        try:
            command = next(turns)
            while True:
                command = turns.send((await self.exchange([command]))[0])
        except StopIteration as over:
            result: T = over.value
            return result

    async def checked_exchange(self, commands: Sequence[Command[Any]]) -> Sequence[object]:
        return checked(await self.exchange(commands))

    def interrupt(self) -> None:
        """As `Line.interrupt`."""
        self.is_cut = True
        with contextlib.suppress(RuntimeError):  # its loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        writer = self._wire._writer  # pyright: ignore[reportPrivateUsage] - as in `Line.interrupt`
        if writer is not None:
            writer.transport.abort()

    async def close(self) -> None:
        self._place.leave(self)
        with contextlib.suppress(*LOST):
            await self._wire.disconnect()


def _slots() -> asyncio.Semaphore:
    return asyncio.Semaphore(settings.ASYNC_CONNECTIONS)


@dataclass
class _Pool:
    """The connections of one event loop. `slots` bounds them, however many coroutines talk at the same time."""

    idle: list[_AsyncLine] = field(default_factory=list[_AsyncLine])
    slots: asyncio.Semaphore = field(default_factory=_slots)


class AsyncLink:
    """Commands to the server from any event loop: connections belong to the loop that made them."""

    def __init__(self, target: Target, deadline_seconds: float = settings.SERVER_DEADLINE_SECONDS) -> None:
        self.target = target
        self._deadline_seconds = deadline_seconds
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}

    async def run(self, command: Command[T]) -> T:
        """As `Link.run`."""
        replies = await self._until_answered(lambda line, _: line.checked_exchange([command]))
        return command.parse(replies[0])

    async def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """As `Link.run_all`."""
        replies = await self._until_answered(lambda line, _: line.checked_exchange(commands))
        return [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]

    async def converse(self, dialogue: Dialogue[T]) -> T:
        """As `Link.converse`."""
        return await self._until_answered(lambda line, attempts: line.converse(dialogue, attempts))

    async def _until_answered(self, talk: Callable[[_AsyncLine, Attempts], Awaitable[T]]) -> T:
        attempts = Attempts(self.target, self._deadline_seconds)
        while True:
            with attempts:
                return await self._once(talk, attempts)
            await self.close()
            await asyncio.sleep(attempts.wait_seconds)

    async def _once(self, talk: Callable[[_AsyncLine, Attempts], Awaitable[T]], attempts: Attempts) -> T:
        pool = self._pool()
        async with pool.slots:
            line = await self._idle_line(pool) or await self._open()
            attempts.is_sent = True
            try:
                result = await talk(line, attempts)
            except (TidemillError, ResponseError) as error:
                if is_out_of_step(error):
                    await line.close()
                else:
                    pool.idle.append(line)  # every answer was read: the line can be used again
                raise
            except BaseException:  # a cancellation too: an answer may be under way
                await line.close()
                raise
            pool.idle.append(line)
            return result

    async def _idle_line(self, pool: _Pool) -> _AsyncLine | None:
        while pool.idle:
            line = pool.idle.pop()
            if not line.is_cut:
                return line
            await line.close()
        return None

    async def _open(self) -> _AsyncLine:
        timeout_seconds = min(settings.REPLY_TIMEOUT_SECONDS, self._deadline_seconds)
        # In a thread, since finding the embedded server may take a while.
        line = await asyncio.to_thread(_AsyncLine, self.target, timeout_seconds)
        try:
            await line.connect()
        except BaseException:
            await line.close()
            raise
        return line

    def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        found = self._pools.get(loop)
        if found is None:
            # Loops that ended without `aclose` are forgotten here; asyncio closes their sockets, with a warning.
            for ended in [known for known in list(self._pools) if known.is_closed()]:
                self._pools.pop(ended, None)
            found = self._pools.setdefault(loop, _Pool())
        return found

    async def close(self) -> None:
        """Closes the idle connections of the running loop; the link can be used again."""
        idle = self._pool().idle
        while idle:
            await idle.pop().close()
