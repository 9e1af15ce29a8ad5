"""An application with a task for each part of a job's life."""

from __future__ import annotations

import os
import signal
import threading

from tidemill import Retry, Tidemill, current_job

mill = Tidemill()


@mill.task()
def add(a: int, b: int) -> int:
    current_job().progress(0.5, "half")
    return a + b


@mill.task()
async def add_async(a: int, b: int) -> int:
    return a + b


@mill.task(executor="process")
def add_in_child(a: int, b: int) -> int:
    return a + b


@mill.task(executor="process")
def echo_in_child(text: str) -> str:
    return text


@mill.task()
def enqueues() -> int:
    """Waits for another job: there must be a thread more than such jobs."""
    return add.enqueue(2, 3).result(60)


@mill.task(retry=Retry(max_attempts=3, base=0.01))
def fails_once() -> str:
    attempt = current_job().attempt
    if attempt == 1:
        raise ValueError("once")
    return f"attempt {attempt}"


@mill.task()
def fails() -> None:
    raise ValueError("always")


@mill.task(timeout=300)
def waits() -> None:
    """In short waits, so that the thread can be interrupted."""
    pause = threading.Event()
    while not current_job().should_stop:
        pause.wait(0.01)


@mill.task()
def kills_its_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
