"""An application for worker processes and child processes. Files are how its jobs and the tests talk to each other."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tidemill import Retry, Tidemill, current_job

mill = Tidemill()
_BALLAST: list[bytes] = []


def wait_for(path: str) -> None:
    """Until a file is there. In short waits, so that a thread can be interrupted."""
    pause = threading.Event()
    while not Path(path).exists():
        pause.wait(0.01)


def note(path: str, text: object) -> None:
    """Appends a line."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


@mill.task()
def hold(journal: str, release: str) -> str:
    note(journal, f"{os.getpid()} {current_job().fence.attempt}")
    wait_for(release)
    return f"attempt {current_job().fence.attempt}"


@mill.task()
def count_exempt() -> int:
    """The objects that the garbage collector does not look at any more."""
    return gc.get_freeze_count()


@mill.task(executor="process")
def count_exempt_in_child() -> int:
    return gc.get_freeze_count()


@mill.task()
def young_containers() -> int:
    """How many are made before the garbage collector looks at them."""
    return gc.get_threshold()[0]


@mill.task(executor="process")
def young_containers_in_child() -> int:
    return gc.get_threshold()[0]


@mill.task()
def kills_its_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hold_interpreter(seconds: float) -> None:
    """One call into C that keeps all other threads of this process from running."""
    ctypes.PyDLL(None).poll(None, 0, int(seconds * 1000))


@mill.task()
def stand_still(journal: str, seconds: float) -> str:
    note(journal, f"{os.getpid()} {current_job().fence.attempt}")
    hold_interpreter(seconds)
    return f"attempt {current_job().fence.attempt}"


@mill.task(timeout=0.2)
def stand_still_for_too_long(journal: str, seconds: float) -> None:
    note(journal, f"{os.getpid()} {current_job().fence.attempt}")
    hold_interpreter(seconds)


@mill.task()
def add(a: int, b: int) -> int:
    return a + b


@mill.task()
def stubborn(journal: str) -> None:
    note(journal, "started")
    while True:
        try:
            wait_for(f"{journal}.never")
        except BaseException as error:  # noqa: BLE001 - it is what must not help
            seen: BaseException | None = error
            while seen is not None:  # it may hit while a lock is released, which raises an error of its own
                note(journal, type(seen).__name__)
                seen = seen.__context__


@mill.task()
def say(text: str) -> None:
    print(f"printed {text}")
    logging.getLogger("user").info("logged %s", text)


@mill.task()
def end_thread(role: str) -> None:
    """Ends a thread of the worker, as no code should."""
    found = next(thread for thread in threading.enumerate() if thread.name == f"tidemill-{role}")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(found.ident or 0), ctypes.py_object(SystemExit))


@mill.task(executor="process")
def multiply(a: int, b: int) -> int:
    return a * b


@mill.task(executor="process")
def process_id() -> int:
    return os.getpid()


@mill.task(executor="process", timeout=1)
def never_ends(journal: str) -> None:
    note(journal, os.getpid())
    while True:
        try:
            wait_for(f"{journal}.never")
        except BaseException:  # noqa: BLE001 - it is what must not help
            note(journal, "caught")


@mill.task(executor="process")
def starts_a_program(journal: str) -> None:
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    note(journal, program.pid)
    program.wait()


@mill.task(executor="process", retry=Retry(max_attempts=2, base=0.01))
def segfault(journal: str) -> None:
    note(journal, current_job().attempt)
    os.kill(os.getpid(), signal.SIGSEGV)


@mill.task(executor="process")
def leaves() -> None:
    os._exit(7)


@mill.task(executor="process")
def gives_up() -> None:
    sys.exit(3)


@mill.task(executor="process")
def fails(text: str) -> None:
    raise ValueError(text)


@mill.task(executor="process")
def grow(megabytes: int) -> int:
    _BALLAST.append(b"x" * (megabytes << 20))
    return os.getpid()


@mill.task(executor="process")
def echo(data: bytes) -> bytes:
    return data


@mill.task(executor="process")
def closes_stdout() -> int:
    sys.stdout.close()
    return os.getpid()


@mill.task(executor="process")
def survives_sigterm() -> str:
    """The worker's children do not follow a signal to the whole service, the programs that they start do."""
    os.kill(os.getpid(), signal.SIGTERM)
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    program.terminate()
    return f"here, and the program ended with {program.wait(20)}"


@mill.task(executor="process")
def reports(journal: str) -> str:
    job = current_job()
    job.progress(0.25, "a quarter")
    wait_for(journal)
    assert job.deadline is None
    return f"{job.id} {job.attempt} {job.fence.attempt}"


@mill.task(executor="process")
def say_in_child(text: str) -> None:
    print(f"printed {text}")
    logging.getLogger("user").info("logged %s", text)


@mill.task(executor="process")
def not_carried() -> object:
    return object()


def _give_up(journal: str, how: str) -> str:
    job = current_job()
    note(journal, f"fallback {job.attempt}")
    return f"instead of {how}"


@mill.task(executor="process", timeout=2, fallback=_give_up, retry=Retry(max_attempts=2, base=0.01))
def has_a_fallback(journal: str, how: str) -> str:
    note(journal, f"try {current_job().attempt}")
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hang":
        wait_for(f"{journal}.never")
    raise ValueError(how)
