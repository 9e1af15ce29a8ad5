"""A producer process: enqueues jobs of all kinds by the public API until SIGTERM, with ids of its own.

python -m chaos.producer SEED JOBS_PER_SECOND
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from chaos import application as app
from chaos.history import Recorder
from chaos.kinds import Order, choose
from tidemill import EnqueueUnknown, Job, TidemillError, call

BATCH_JOBS: Final = 12
# Calls that may be under way at the same time: one whose reply is lost does not hold up the others.
LANES: Final = 4
# How often a job whose outcome is not known is sent again under its id, and one that is known as well.
RESEND_UNKNOWN: Final = 0.7
RESEND_KNOWN: Final = 0.03


class Producer:
    """`is_async`: by the calls for async code, else by the plain ones."""

    def __init__(self, recorder: Recorder, name: str, seed: str, jobs_per_second: float, *, is_async: bool) -> None:
        self._recorder = recorder
        self._name = name
        self._random = random.Random(f"{seed}/{name}")
        self._jobs_per_second = jobs_per_second
        self._is_async = is_async
        self._number = 0
        self._late: set[asyncio.Task[None]] = set()
        self.stop = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._enqueue_on() for _ in range(LANES)))
        await asyncio.gather(*self._late)

    async def _enqueue_on(self) -> None:
        while not self.stop.is_set():
            self._number += 1
            order = choose(self._random, self._number if self._name == "producer-0.1" else None)
            name = f"{self._name}-{self._number}"
            await (self._batch(order, name) if order.kind == "batch" else self._one(order, name))
            await self._pause(self._random.expovariate(self._jobs_per_second / LANES))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _one(self, order: Order, job_id: str) -> None:
        job = await self._enqueue(order, job_id)
        while job is None and self._random.random() < RESEND_UNKNOWN:
            await self._pause(0.2)
            job = await self._enqueue(order, job_id)
        if job is not None and self._random.random() < RESEND_KNOWN:
            await self._enqueue(order, job_id)
        if job is not None and order.kind == "cancelled":
            late = asyncio.create_task(self._cancel(job, self._random.uniform(0, 1)))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _enqueue(self, order: Order, job_id: str) -> Job[Any] | None:
        """None: the outcome is not known."""
        task = order.task.using(job_id=job_id, **order.options)
        told = {"job": job_id, "kind": order.kind}
        self._recorder.write("enqueue", type="invoke", **told, **order.told)
        try:
            job: Job[Any] = await self._call(task.enqueue, task.aenqueue, *order.arguments)
        except EnqueueUnknown as error:
            self._recorder.write("enqueue", type="info", **told, why=type(error).__name__)
            return None
        except TidemillError as error:
            self._recorder.write("enqueue", type="fail", **told, why=type(error).__name__, error=str(error)[:500])
            return None
        # A unique key that is held answers with its holder: this job was not made.
        self._recorder.write("enqueue", type="ok", **told, answer=job.id)
        return job if job.id == job_id else None

    async def _batch(self, order: Order, batch: str) -> None:
        self._recorder.write("batch", type="invoke", batch=batch)
        calls = [call() for _ in range(BATCH_JOBS)]
        try:
            jobs: list[Job[Any]] = await self._call(order.task.enqueue_many, order.task.aenqueue_many, calls)
        except EnqueueUnknown as error:
            self._recorder.write("batch", type="info", batch=batch, jobs=[job.id for job in error.jobs])
        except TidemillError as error:
            self._recorder.write("batch", type="fail", batch=batch, why=type(error).__name__)
        else:
            self._recorder.write("batch", type="ok", batch=batch, jobs=[job.id for job in jobs])

    async def _cancel(self, job: Job[Any], after_seconds: float) -> None:
        await self._pause(after_seconds)
        self._recorder.write("cancel", type="invoke", job=job.id)
        try:
            await self._call(job.cancel, job.acancel)
        except TidemillError as error:
            self._recorder.write("cancel", type="info", job=job.id, why=type(error).__name__)
        else:
            self._recorder.write("cancel", type="ok", job=job.id, state=str(job.state))

    async def _call(self, plain: Callable[..., Any], asynchronous: Callable[..., Awaitable[Any]], *args: object) -> Any:
        return await asynchronous(*args) if self._is_async else await asyncio.to_thread(plain, *args)


async def main(seed: str, jobs_per_second: float) -> None:
    name = os.environ[app.PROCESS_VARIABLE]
    recorder = app.recorder()
    # Every second one speaks async.
    is_async = int(name.split("-")[1].split(".")[0]) % 2 == 1
    producer = Producer(recorder, name, seed, jobs_per_second, is_async=is_async)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, producer.stop.set)
    await producer.run()
    await app.mill.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
