"""The jobs of a chaos run. Each writes to the history, and makes one effect: a file that one execution can create."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any, Final

import redis

from chaos.history import Recorder
from tidemill import Retry, Tidemill, current_job

# Where the history is, and what this process is called in it.
DIRECTORY_VARIABLE: Final = "CHAOS_DIRECTORY"
PROCESS_VARIABLE: Final = "CHAOS_PROCESS"
# Of jobs that are tried again: no jitter, so that the checker knows when the next attempt may start.
RETRY_SECONDS: Final = 0.3
FAILING_ATTEMPTS: Final = 3
# Of the tasks that are limited; and where those that are limited at once count themselves.
RATE_PER_SECOND: Final = 500
CONCURRENCY: Final = 7
INSIDE_KEY: Final = "chaos:{0}:inside"

mill = Tidemill(deadline=3)


class Failing(Exception):
    """What a job raises that is to fail."""


@cache
def directory() -> Path:
    return Path(os.environ[DIRECTORY_VARIABLE])


@cache
def recorder() -> Recorder:
    return Recorder(directory(), os.environ[PROCESS_VARIABLE])


@contextlib.contextmanager
def recorded() -> Generator[None]:
    """An execution: a line at its start and one at its end."""
    job = current_job()
    fence = {"job": job.id, "inc": job.fence.incarnation, "attempt": job.fence.attempt}
    recorder().write("start", **fence, task=job.task, tries=job.attempt)
    outcome = "ok"
    try:
        yield
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        recorder().write("end", **fence, tries=job.attempt, outcome=outcome)


@cache
def witnesses() -> Any:
    """A connection of this process to the server."""
    client: Any = redis.Redis  # its types are partly unknown
    return client.from_url(os.environ["TIDEMILL_URL"])


def make_effect() -> None:
    """Idempotent by the job's id, in a store that is not the server."""
    job_id = current_job().id
    path = directory() / "effects" / job_id
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        recorder().write("effect", job=job_id, first=False)
    else:
        recorder().write("effect", job=job_id, first=True)


def work(seconds: float) -> None:
    """In short waits, so that a thread can be interrupted."""
    never = threading.Event()
    for _ in range(int(seconds / 0.02)):
        never.wait(0.02)


@mill.task()
def plain() -> None:
    with recorded():
        make_effect()


@mill.task(queue="slow")
def slow(seconds: float) -> None:
    with recorded():
        work(seconds)
        make_effect()


@mill.task(retry=Retry(max_attempts=FAILING_ATTEMPTS, backoff="constant", base=RETRY_SECONDS, jitter=0))
def fails_first(times: int) -> None:
    with recorded():
        if current_job().attempt <= times:
            raise Failing(f"attempt {current_job().attempt} of {times} that fail")
        make_effect()


@mill.task()
async def coroutine(seconds: float) -> None:
    with recorded():
        await asyncio.sleep(seconds)
        make_effect()


@mill.task(queue="children", executor="process")
def in_child(seconds: float) -> None:
    with recorded():
        work(seconds)
        make_effect()


@mill.task(queue="limited", rate=f"{RATE_PER_SECOND}/s")
def in_time() -> None:
    with recorded():
        make_effect()


@mill.task(queue="limited", concurrency=CONCURRENCY)
def at_once(seconds: float) -> None:
    """Checks itself: counts who is inside, in a hash with a field for each process."""
    with recorded():
        server, process = witnesses(), os.environ[PROCESS_VARIABLE]
        server.hincrby(INSIDE_KEY, process, 1)
        try:
            inside = sum(map(int, server.hvals(INSIDE_KEY)))
            recorder().write("inside", job=current_job().id, count=inside)
            work(seconds)
            make_effect()
        finally:
            server.hincrby(INSIDE_KEY, process, -1)
    if inside > CONCURRENCY:
        raise Failing(f"{inside} are inside")


@mill.task(queue="slow")
def kills_its_worker() -> None:
    with recorded():
        recorder().write("die", job=current_job().id)
        os.kill(os.getpid(), signal.SIGKILL)
