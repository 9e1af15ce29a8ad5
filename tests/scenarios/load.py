"""An open loop of arrivals: job *n* comes at its time, whatever the system does. Each call goes into the history."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chaos.history import Recorder
from tidemill import EnqueueUnknown, Job, QueueFull, TidemillError

Enqueue = Callable[[str], Awaitable[Job[Any]]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call. `answered_at`: unix seconds; `retry_after`: of a refusal."""

    job_id: str
    answered_at: float
    pressure: float = 0.0
    retry_after: float | None = None


class Load:
    """Calls of one kind of job, all known to a history."""

    def __init__(self, recorder: Recorder, kind: str, name: str) -> None:
        self._recorder = recorder
        self._kind = kind
        self._name = name
        self._count = 0
        self.arrivals: list[Arrival] = []

    async def run(
        self, enqueue: Enqueue, per_second: float, seconds: float, seed: int = 1, *, evenly: bool = False
    ) -> None:
        """Poisson arrivals, or one at a time; returns when the last one is answered."""
        chance = random.Random(seed)
        calls = set[asyncio.Task[None]]()
        due, end = time.time(), time.time() + seconds
        while (due := due + (1 / per_second if evenly else chance.expovariate(per_second))) < end:
            await asyncio.sleep(max(0.0, due - time.time()))
            call = asyncio.create_task(self.one(enqueue))
            calls.add(call)
            call.add_done_callback(calls.discard)
        await asyncio.gather(*calls)

    async def one(self, enqueue: Enqueue) -> None:
        """One call, now."""
        self._count += 1
        job_id = f"{self._name}-{self._count}"
        told = {"job": job_id, "kind": self._kind}
        self._recorder.write("enqueue", type="invoke", **told)
        try:
            job = await enqueue(job_id)
        except EnqueueUnknown:
            self._recorder.write("enqueue", type="info", **told)
        except QueueFull as error:
            self._recorder.write("enqueue", type="fail", **told, why="QueueFull")
            self.arrivals.append(Arrival(job_id, time.time(), 1.0, error.retry_after))
        except TidemillError as error:
            self._recorder.write("enqueue", type="fail", **told, why=type(error).__name__, error=str(error)[:500])
        else:
            self._recorder.write("enqueue", type="ok", **told, answer=job.id)
            self.arrivals.append(Arrival(job_id, time.time(), job.pressure))
