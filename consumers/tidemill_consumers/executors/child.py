"""What a child process runs: it imports the application, then takes one job after the other from its socket.

The main thread runs the jobs; a second one reads the socket, so that the child notices at once when its worker is gone,
and ends: nobody would settle what it does.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import socket
import sys
import threading
from typing import Any, Final

from tidemill.app import Tidemill
from tidemill.errors import RemoteError
from tidemill.wire.scripts import Taken
from tidemill_consumers import pipeline
from tidemill_consumers.executors import frames
from tidemill_consumers.loading import load_app
from tidemill_consumers.outcomes import Dead, Outcome, Parked, Retried, Succeeded
from tidemill_consumers.run import Run

_JOB_FIELDS: Final = (
    "id",
    "queue",
    "lane",
    "entry",
    "attempt",
    "uncounted",
    "task",
    "body",
    "options",
    "crashes",
)
_TIME_FIELDS: Final = ("created_ms", "due_ms", "trace", "error", "incarnation")
FIELDS: Final = _JOB_FIELDS + _TIME_FIELDS


def main(app_path: str, descriptor: int) -> None:
    # Ctrl-C reaches the whole process group: the worker decides what becomes of its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel = socket.socket(fileno=descriptor)
    mill = load_app(app_path)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(channel, jobs), name="tidemill-child", daemon=True).start()
    frames.send(channel, {"kind": "up"})
    while True:
        outcome = _run(mill, channel, Taken(**jobs.get()))
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1 << 20)
        frames.send(channel, {**_to_frame(outcome), "megabytes": megabytes})


def _read(channel: socket.socket, jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    while True:
        frame = frames.receive(channel)
        if frame is None:
            os._exit(0)
        jobs.put(frame)


def _run(mill: Tidemill, channel: socket.socket, taken: Taken) -> Outcome:
    def report(_: Run, fraction: float, text: str) -> None:
        frames.send(channel, {"kind": "progress", "fraction": fraction, "text": text})

    run = pipeline.resolve(taken, mill.tasks)
    if not isinstance(run, Run):
        return run
    try:
        return pipeline.call_sync(run, run.start(report), mill.codec)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
        return pipeline.classify(run, error)


def _to_frame(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case Succeeded(result):
            return {"kind": "succeeded", "result": result}
        case Retried(error, delay_ms):
            return {"kind": "retried", "delay_ms": delay_ms, **_error(error)}
        case Dead(error, reason):
            return {"kind": "dead", "reason": reason, **_error(error)}
        case Parked(reason, delay_ms):
            return {"kind": "parked", "reason": reason, "delay_ms": delay_ms}
        case _:
            raise AssertionError(f"a child can't decide {outcome}: its worker does")


def _error(error: RemoteError) -> dict[str, object]:
    return {"type": error.type, "message": error.message, "traceback": error.traceback}


def from_frame(frame: dict[str, Any]) -> Outcome:
    """What the worker reads of a child's last frame of a job."""
    match frame["kind"]:
        case "succeeded":
            return Succeeded(frame["result"])
        case "parked":
            return Parked(frame["reason"], frame["delay_ms"])
        case kind:
            error = RemoteError(frame["type"], frame["message"], frame["traceback"])
            return Retried(error, frame["delay_ms"]) if kind == "retried" else Dead(error, frame["reason"])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
