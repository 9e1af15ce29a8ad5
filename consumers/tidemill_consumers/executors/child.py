"""What a child process runs: it imports the application, then takes one job after the other from its socket.

The main thread runs the jobs; a second one reads the socket, so that the child notices at once when its worker is gone,
and ends: nobody would settle what it does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import signal
import socket
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, cast

from tidemill import logs
from tidemill.app import Tidemill
from tidemill.errors import RemoteError
from tidemill.wire.scripts import Taken
from tidemill_consumers import pipeline
from tidemill_consumers.executors.frames import Channel, Frame
from tidemill_consumers.loading import load_app
from tidemill_consumers.outcomes import Dead, Outcome, Parked, Retried, Succeeded
from tidemill_consumers.run import Run

# Not sent: the arguments travel as the frame's payload, and the last error concerns nobody here.
_LEFT_OUT: Final = ("body", "error")


def main(app_path: str, descriptor: int) -> None:
    _ignore_signals()
    level = os.environ.get("TIDEMILL_LOG_LEVEL")
    if level:
        logs.configure(cast(Literal["human", "json"], os.environ.get("TIDEMILL_LOG_FORMAT", "human")), level)
    channel = Channel(socket.socket(fileno=descriptor))
    mill = load_app(app_path)
    jobs: queue.SimpleQueue[Taken] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(channel, jobs), name="tidemill-child", daemon=True).start()
    channel.send({"kind": "up"})
    while True:
        outcome = _run(mill, channel, jobs.get())
        _flush()
        message, payload = _message(outcome)
        channel.send({**message, "megabytes": resident_megabytes()}, payload)


def _ignore_signals() -> None:
    """The worker decides what becomes of its children, also when a terminal or a service manager signals them all.

    Handlers, since ignored signals would be inherited by the programs that a job starts. What it forks inherits the
    handlers, and gets the signal's usual effect back.
    """
    own = os.getpid()

    def ignore(number: int, _: FrameType | None) -> None:
        if os.getpid() != own:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ignore)


def _read(channel: Channel, jobs: queue.SimpleQueue[Taken]) -> None:
    while (frame := channel.receive()) is not None:
        jobs.put(Taken(**frame.message, body=frame.payload, error=b""))
    os._exit(0)


def job_frame(taken: Taken) -> Frame:
    """What the worker sends of a job."""
    return Frame({name: value for name, value in asdict(taken).items() if name not in _LEFT_OUT}, taken.body)


def _run(mill: Tidemill, channel: Channel, taken: Taken) -> Outcome:
    def report(_: Run, fraction: float, text: str) -> None:
        channel.send({"kind": "progress", "attempt": taken.attempt, "id": taken.id, "at": fraction, "text": text})

    run = pipeline.resolve(taken, mill.tasks)
    if not isinstance(run, Run):
        return run
    try:
        return pipeline.call_sync(run, run.start(report), mill.client)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
        return pipeline.classify(run, error)


def _flush() -> None:
    """What a job printed must not wait in a buffer that dies with the process; a job may have closed it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def resident_megabytes() -> int:
    """The memory that this process has now. (Its peak, where the system has no /proc: Linux counts the parent's.)"""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak >> (20 if sys.platform == "darwin" else 10)
    return pages * resource.getpagesize() >> 20


def _message(outcome: Outcome) -> tuple[dict[str, object], bytes]:
    match outcome:
        case Succeeded(result):
            return {"kind": "succeeded"}, result
        case Retried(error, delay_ms):
            return {"kind": "retried", "delay_ms": delay_ms, **_error(error)}, b""
        case Dead(error, reason):
            return {"kind": "dead", "reason": reason, **_error(error)}, b""
        case Parked(reason, delay_ms, _):
            return {"kind": "parked", "reason": reason, "delay_ms": delay_ms}, b""
        case _:
            raise AssertionError(f"a child can't decide {outcome}: its worker does")


def _error(error: RemoteError) -> dict[str, object]:
    return {"type": error.type, "message": error.message, "traceback": error.traceback}


def outcome_of(frame: Frame) -> Outcome:
    """What the worker reads of a child's last frame of a job."""
    message: dict[str, Any] = frame.message
    match message["kind"]:
        case "succeeded":
            return Succeeded(frame.payload)
        case "parked":
            return Parked(message["reason"], message["delay_ms"])
        case kind:
            error = RemoteError(message["type"], message["message"], message["traceback"])
            return Retried(error, message["delay_ms"]) if kind == "retried" else Dead(error, message["reason"])
