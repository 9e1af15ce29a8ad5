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
from typing import Final

from chaos.history import Recorder
from tidemill import Retry, Tidemill, current_job

# Where the history is, and what this process is called in it.
DIRECTORY_VARIABLE: Final = "CHAOS_DIRECTORY"
PROCESS_VARIABLE: Final = "CHAOS_PROCESS"
# Of jobs that are tried again: no jitter, so that the checker knows when the next attempt may start.
RETRY_SECONDS: Final = 0.3
FAILING_ATTEMPTS: Final = 3

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


@mill.task(queue="slow")
def kills_its_worker() -> None:
    with recorded():
        recorder().write("die", job=current_job().id)
        os.kill(os.getpid(), signal.SIGKILL)
