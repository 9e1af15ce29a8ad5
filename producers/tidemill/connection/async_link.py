"""`AsyncLink`: commands to the server from any event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from tidemill import settings
from tidemill.connection.attempts import Attempts, checked, examine
from tidemill.connection.driver import LOST, make_async_wire, merge_loaded, missing_scripts, with_loads
from tidemill.target import Target
from tidemill.wire.command import Command

T = TypeVar("T")


class _AsyncLine:
    """One async connection; the twin of `Line`."""

    def __init__(self, target: Target, reply_timeout_seconds: float) -> None:
        self._target = target
        self._wire = make_async_wire(target.url, reply_timeout_seconds)

    async def connect(self) -> None:
        await self._wire.connect()
        if not self._target.examined:
            examine(self._target, (await self._talk([("INFO",)]))[0])

    async def _talk(self, words: Sequence[Sequence[object]]) -> list[object]:
        await self._wire.send_packed_command(self._wire.pack_commands(words), check_health=False)
        return [await self._read() for _ in words]

    async def _read(self) -> object:
        try:
            return await self._wire.read_response()
        except ResponseError as error:
            return error

    async def exchange(self, commands: Sequence[Command[Any]]) -> list[object]:
        replies = await self._talk([command.words for command in commands])
        missing = missing_scripts(commands, replies)
        return merge_loaded(replies, missing, await self._talk(with_loads(commands, missing))) if missing else replies

    async def close(self) -> None:
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
        return command.parse((await self._until_answered([command]))[0])

    async def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """As `Link.run_all`."""
        replies = await self._until_answered(commands)
        return [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]

    async def _until_answered(self, commands: Sequence[Command[Any]]) -> Sequence[object]:
        attempts = Attempts(self.target, self._deadline_seconds)
        while True:
            with attempts:
                return checked(await self._once(commands))
            await self.close()
            await asyncio.sleep(attempts.wait_seconds)

    async def _once(self, commands: Sequence[Command[Any]]) -> list[object]:
        pool = self._pool()
        async with pool.slots:
            line = pool.idle.pop() if pool.idle else await self._open()
            try:
                replies = await line.exchange(commands)
            except BaseException:  # a cancellation too: an answer may be under way
                await line.close()
                raise
            pool.idle.append(line)
            return replies

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
