"""What a child process runs: it imports the application, then takes one job after the other from its socket.

The main thread reads and runs the jobs: no thread hands them to another. A second one only waits until the worker is
gone, and then ends the child at once: nobody would settle what it does.

Each answer is sent before the next job begins: the worker knows from the answers what runs.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, cast

from tidemill import logs
from tidemill.app import Tidemill
from tidemill.breakers.breaker import Verdict
from tidemill.errors import RemoteError
from tidemill.lifecycle import collect_less_often, exempt_what_is_loaded
from tidemill.loading import load_app
from tidemill.wire.scripts import Taken
from tidemill_consumers import decisions, pipeline
from tidemill_consumers.executors.frames import Channel, Frame, encode
from tidemill_consumers.executors.permits import PermitReader
from tidemill_consumers.outcomes import Dead, Outcome, Parked, Retried, Succeeded
from tidemill_consumers.run import Run

# The memory is looked at after so much time, and not after each of many short jobs: in this time a job can't grow by
# more than a few dozen megabytes.
_MEMORY_SECONDS: Final = 0.005
# Of a job, what only those need that have a fallback or a deadline for their attempts.
_TIMES: Final = ("created_ms", "expires_ms", "taken_ms", "error")


def main(app_path: str, descriptor: int, permits: int) -> None:
    _ignore_signals()
    level = os.environ.get("TIDEMILL_LOG_LEVEL")
    if level:
        logs.configure(cast(Literal["human", "json"], os.environ.get("TIDEMILL_LOG_FORMAT", "human")), level)
    end = socket.socket(fileno=descriptor)
    mill = load_app(app_path)
    exempt_what_is_loaded()
    collect_less_often()
    threading.Thread(target=_end_with_worker, args=(end,), name="tidemill-child", daemon=True).start()
    channel = Channel(end)
    channel.send({"kind": "up"})
    _serve(mill, channel, PermitReader(permits))
    os._exit(0)


def _end_with_worker(end: socket.socket) -> None:
    hangup = select.poll()
    hangup.register(end, 0)
    hangup.poll()
    os._exit(0)


def _serve(mill: Tidemill, channel: Channel, permits: PermitReader) -> None:
    """Until there are no more permits."""
    looked_at = 0.0
    while (number := permits.next()) is not None and (frame := _job(channel, number)) is not None:
        taken_at = frame.message.pop("taken_at", None)
        outcome, verdict = _run(mill, channel, _taken(frame), taken_at)
        _flush()
        message, payload = _message(outcome)
        if verdict is not None:
            message["verdict"] = verdict
        now = time.monotonic()
        if now - looked_at >= _MEMORY_SECONDS:
            looked_at = now
            message["megabytes"] = resident_megabytes()
        channel.send(message, payload)


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


def job_frame(number: int, run: Run, taken: Taken) -> bytes:
    """What the worker sends of a job, complete: what is used here. Raises InvalidInput for what is no text."""
    message: dict[str, object] = {
        "number": number,
        "id": taken.id,
        "queue": taken.queue,
        "attempt": taken.attempt,
        "uncounted": taken.uncounted,
        "task": taken.task,
        "options": taken.options,
        "trace": taken.trace,
        "incarnation": taken.incarnation,
    }
    if decisions.has_rules(run):
        message["taken_at"] = run.taken_at  # all processes of a machine have one monotonic clock
        for name in _TIMES:
            message[name] = getattr(taken, name)
    return encode(message, taken.body)


def _job(channel: Channel, number: int) -> Frame | None:
    """The frame of this number: those before it were taken back. None: the worker is gone."""
    while (frame := channel.receive()) is not None and frame.message.pop("number") != number:
        pass
    return frame


def _taken(frame: Frame) -> Taken:
    unused: dict[str, Any] = {"created_ms": 0, "error": b""}
    return Taken(**{**unused, **frame.message}, body=frame.payload, lane=0, entry="", crashes=0, due_ms=0)


def _run(mill: Tidemill, channel: Channel, taken: Taken, taken_at: float | None) -> tuple[Outcome, Verdict | None]:
    """What came of it, and what that says to the breaker that its task declares."""

    def report(_: Run, fraction: float, text: str) -> None:
        channel.send({"kind": "progress", "attempt": taken.attempt, "id": taken.id, "at": fraction, "text": text})

    run = pipeline.resolve(taken, mill.tasks)
    if not isinstance(run, Run):
        return run, None
    if taken_at is not None:
        run.taken_at = taken_at
    try:
        return pipeline.call_sync(run, run.start(report), mill.client), run.verdict
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
        return pipeline.classify(run, error), run.verdict


def _flush() -> None:
    """What a job printed must not wait in a buffer that dies with the process; a job may have closed it."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()


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
            return {}, result
        case Retried(error, delay_ms, reason, fallback):
            message = {"kind": "retried", "delay_ms": delay_ms, "reason": reason, "fallback": fallback}
            return {**message, **_error(error)}, b""
        case Dead(error, reason):
            return {"kind": "dead", "reason": reason, **_error(error)}, b""
        case Parked(reason, delay_ms, label):
            return {"kind": "parked", "reason": reason, "delay_ms": delay_ms, "label": label}, b""
        case _:
            raise AssertionError(f"a child can't decide {outcome}: its worker does")


def _error(error: RemoteError) -> dict[str, object]:
    return {"type": error.type, "message": error.message, "traceback": error.traceback}


def outcome_of(frame: Frame) -> Outcome:
    """What the worker reads of a child's last frame of a job. One without a kind, the usual one, is a success."""
    message: dict[str, Any] = frame.message
    match message.get("kind", "succeeded"):
        case "succeeded":
            return Succeeded(frame.payload)
        case "parked":
            return Parked(message["reason"], message["delay_ms"], message["label"])
        case kind:
            error = RemoteError(message["type"], message["message"], message["traceback"])
            if kind == "retried":
                return Retried(error, message["delay_ms"], message["reason"], message["fallback"])
            return Dead(error, message["reason"])
