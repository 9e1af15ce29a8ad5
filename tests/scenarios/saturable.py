"""python -m scenarios.saturable SOCKET SEED: a dependency that can be saturated, as a process of its own.

A request needs a lognormally distributed time of work. Up to the knee requests do not notice each other; beyond it they
share the capacity, and each one beyond costs it a part, as locks and caches of a database do. That is the model of
tests/concurrency/dependency.py, on a real socket: all that are in work get equal parts of it, so how far each has come
is one number for all (the virtual time of processor sharing), and a heap of finishes is all that there is.

A line `work` is answered when the work is done; `factor 10` makes all work ten times as long from now on. A client that
hangs up takes its request with it.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import sys
from itertools import count
from typing import Final

WORK_SECONDS: Final = 0.05
SPREAD: Final = 0.25
KNEE: Final = 10
COLLAPSE: Final = 0.01
# What it does in a second at its best, that is with KNEE requests at a time.
CAPACITY: Final = KNEE / WORK_SECONDS


class Saturable:
    """Runs in one event loop."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._factor = 1.0
        self._done = 0.0  # seconds of work that each request has got which was always there
        self._at = 0.0  # when that was so, by the loop's clock
        self._finishes: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def _slowdown(self) -> float:
        running = len(self._finishes)
        return self._factor * max(1.0, running / KNEE) * (1 + COLLAPSE * max(0, running - KNEE))

    def _advance(self) -> None:
        """To now. Before anything changes."""
        now = asyncio.get_running_loop().time()
        self._done += (now - self._at) / self._slowdown()
        self._at = now

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._finishes:
            seconds = max(0.0, (self._finishes[0][0] - self._done) * self._slowdown())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._finish)

    def _finish(self) -> None:
        self._advance()
        while self._finishes and self._finishes[0][0] <= self._done + 1e-9:
            _, _, future = heapq.heappop(self._finishes)
            if not future.done():
                future.set_result(None)
        self._plan()

    async def work(self) -> None:
        """One request."""
        self._advance()
        seconds = self._chance.lognormvariate(math.log(WORK_SECONDS) - SPREAD**2 / 2, SPREAD)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._finishes, (self._done + seconds, next(self._numbers), future))
        self._plan()
        try:
            await future
        finally:
            self._advance()
            self._finishes = [one for one in self._finishes if one[2] is not future]
            heapq.heapify(self._finishes)
            self._plan()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it hangs up."""
        while line := (await reader.readline()).split():
            if line[0] == b"factor":
                self._advance()
                self._factor = float(line[1])
                self._plan()
            else:
                hung_up = asyncio.create_task(reader.read(1))
                working = asyncio.create_task(self.work())
                await asyncio.wait({hung_up, working}, return_when=asyncio.FIRST_COMPLETED)
                hung_up.cancel()
                if not working.done():
                    working.cancel()
                    break
                await asyncio.gather(hung_up, return_exceptions=True)
            writer.write(b"done\n")
        writer.close()


async def main() -> None:
    """Until it is killed."""
    server = await asyncio.start_unix_server(Saturable(int(sys.argv[2])).serve, sys.argv[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
