"""Slow dependency: what all jobs call takes ten times as long for a while, and a worker's limit follows (gradient).

There is always a backlog, so what is done depends on the limit alone. Beside it the same runs with the best fixed limit
on a dependency of its own, at the same time, so that both have the same machine. The best is the knee, before, while it
is slow, and after: with fewer at a time capacity is idle, and each one beyond costs some of it (saturable.py).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from chaos.history import read
from chaos.processes import TESTS
from chaos.reading import Execution
from conditions import eventually
from scenarios.depths import Depths
from scenarios.saturable import KNEE
from scenarios.scenario import Check, Panel, Points, Result, scenario, share
from scenarios.stage import Stage
from tidemill import call

ADAPTIVE, FIXED = "gradient", "fixed"
APP: Final = "scenarios.slow_dependency_app"
MOST_AT_ONCE: Final = 100
BACKLOG_JOBS: Final = 150
FACTOR: Final = 10
WARM_UP_SECONDS: Final = 5.0
NORMAL_SECONDS: Final = 6.0
SLOW_SECONDS: Final = 20.0
AFTER_SECONDS: Final = 10.0
# From when on the limit is to stand still again.
SETTLED_AFTER_SECONDS: Final = 5.0
LEAST_SHARE: Final = 0.8
# Of the calls: a storm of timeouts is what comes of too many at a time.
TIMEOUTS_SHARE: Final = 0.01
# Once its limit stands, it moves by no more than this about its median; but for a measurement with a quarter of it.
STEADY_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Part:
    """Unix seconds."""

    name: str
    begin: float
    end: float


@scenario("slow-dependency")
def slow_dependency(directory: Path, flavour: str) -> Result:
    run = _Run(directory, flavour)
    try:
        parts = run.play()
        run.stop()
        return _result(run, parts)
    finally:
        run.close()


class _Side:
    """A queue with a backlog, and the dependency that its jobs call."""

    def __init__(self, stage: Stage, queue: str) -> None:
        self._stage = stage
        self._queue = queue
        self._socket = str(stage.directory / queue)
        self._dependency = subprocess.Popen(
            [sys.executable, "-m", "scenarios.saturable", self._socket, "1"],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        self.depths = Depths(stage.server, queue)
        self._is_over = threading.Event()
        self._producer = threading.Thread(target=self._keep_a_backlog)

    def start(self) -> None:
        """Returns when the first job is done."""
        eventually(lambda: os.path.exists(self._socket), "the dependency listens")
        self._producer.start()
        eventually(lambda: self.depths.look().ended, "the first is done")

    def set_factor(self, factor: int) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._socket)
            connection.sendall(f"factor {factor}\n".encode())
            connection.recv(16)

    def _keep_a_backlog(self) -> None:
        task: Any = self._stage.mill.named(f"{APP}.call_dependency").using(queue=self._queue)
        while not self._is_over.wait(0.05):
            if self.depths.look().ready < BACKLOG_JOBS:
                for job in task.enqueue_many([call()] * (BACKLOG_JOBS // 2)):
                    told = {"job": job.id, "kind": "plain"}
                    self._stage.recorder.write("enqueue", type="invoke", **told)
                    self._stage.recorder.write("enqueue", type="ok", **told, answer=job.id)

    def stop(self) -> None:
        """No more jobs."""
        self._is_over.set()
        if self._producer.is_alive():
            self._producer.join()

    def close(self) -> None:
        self.stop()
        self._dependency.kill()
        self._dependency.wait()


class _Run:
    def __init__(self, directory: Path, flavour: str) -> None:
        worker = ("worker", f"{APP}:mill", "--grace=10", "--no-supervisor")
        adaptive = (f"--queues={ADAPTIVE}", f"--concurrency={MOST_AT_ONCE}", "--concurrency-limiter=gradient")
        fixed = (f"--queues={FIXED}", f"--concurrency={KNEE}")
        places = {
            "worker-adaptive": (*worker, *adaptive),
            "worker-fixed": (*worker, *fixed),
            "scheduler": ("scheduler",),
        }
        self.stage = Stage(directory, flavour, places)
        self._sides = [_Side(self.stage, queue) for queue in (ADAPTIVE, FIXED)]

    def play(self) -> list[_Part]:
        self.stage.start()
        for side in self._sides:
            side.start()
        _wait(WARM_UP_SECONDS)
        return [
            self._part("before", NORMAL_SECONDS, 1),
            self._part("while it is slow", SLOW_SECONDS, FACTOR),
            self._part("after", AFTER_SECONDS, 1),
        ]

    def _part(self, name: str, seconds: float, factor: int) -> _Part:
        for side in self._sides:
            side.set_factor(factor)
        begin = time.time()
        _wait(seconds)
        return _Part(name, begin, time.time())

    def stop(self) -> None:
        for side, queue in zip(self._sides, (ADAPTIVE, FIXED), strict=True):
            side.stop()
            self.stage.await_empty(queue)
        self.stage.stop()

    def close(self) -> None:
        for side in self._sides:
            side.close()
        self.stage.close()


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _result(run: _Run, parts: list[_Part]) -> Result:
    history = run.stage.history()
    ends: dict[str, list[Execution]] = {ADAPTIVE: [], FIXED: []}
    for job, executions in history.executions.items():
        ends[history.records[job]["queue"]] += [one for one in executions if one.ended is not None]
    limits = [(line["t"], float(line["limit"])) for line in read(run.stage.directory) if line["op"] == "limit"]
    checks = [_goodput_check(ends, part) for part in parts]
    calls, timeouts = len(ends[ADAPTIVE]), sum(one.outcome == "Failing" for one in ends[ADAPTIVE])
    settled = _held(limits, parts[-1].begin + SETTLED_AFTER_SECONDS, parts[-1].end)
    while_slow, usual = median(_held(limits, parts[1].begin + SETTLED_AFTER_SECONDS, parts[1].end)), median(settled)
    steady = sum(abs(limit - usual) <= STEADY_SHARE * usual for limit in settled)
    wrong = run.stage.wrong
    checks += [
        Check(
            f"calls that time out ≤ {TIMEOUTS_SHARE:.0%}",
            timeouts <= TIMEOUTS_SHARE * calls,
            f"{timeouts} of {calls:,}",
        ),
        Check(
            f"the limit is 0.5 to 2 times the knee of {KNEE}, out of {MOST_AT_ONCE}",
            all(0.5 * KNEE <= limit <= 2 * KNEE for limit in (while_slow, usual)),
            f"{while_slow:.0f} while it is slow, {usual:.0f} after",
        ),
        share(
            steady,
            len(settled),
            LEAST_SHARE,
            f"{SETTLED_AFTER_SECONDS:g} s after, it moves by no more than {STEADY_SHARE:.0%} for a share of the time",
        ),
        Check("invariants hold", not wrong, "; ".join(wrong[:5]) or "all"),
    ]
    return Result(
        f"Slow dependency: {FACTOR} times as slow for {SLOW_SECONDS:g} s", checks, _panels(ends, limits, parts)
    )


def _goodput_check(ends: Mapping[str, list[Execution]], part: _Part) -> Check:
    found, best = (_goodput(ends[queue], part.begin, part.end) for queue in (ADAPTIVE, FIXED))
    return share(found, best, LEAST_SHARE, f"goodput {part.name}, of {best:.0f} jobs/s with the best fixed limit")


def _goodput(ends: list[Execution], begin: float, end: float) -> float:
    return sum(one.outcome == "ok" and begin <= (one.ended or 0) < end for one in ends) / (end - begin)


def _held(limits: Points, begin: float, end: float) -> list[float]:
    """The limit, ten times a second."""
    return [_at(limits, begin + step / 10) for step in range(int((end - begin) * 10))]


def _at(limits: Points, moment: float) -> float:
    return next((limit for at, limit in reversed(limits) if at <= moment), limits[0][1])


def _panels(ends: Mapping[str, list[Execution]], limits: Points, parts: list[_Part]) -> list[Panel]:
    zero, first, last = parts[1].begin, parts[0].begin - WARM_UP_SECONDS, parts[-1].end
    steps = [first + step / 10 for step in range(int((last - first) * 10))]
    seconds = [first + second for second in range(int(last - first))]
    done = {
        name: [(second + 0.5 - zero, _goodput(ends[queue], second, second + 1)) for second in seconds]
        for queue, name in ((ADAPTIVE, "limit of gradient"), (FIXED, "best fixed limit"))
    }
    times = [(one.ended - zero, one.ended - one.began) for one in ends[ADAPTIVE] if one.ended and one.ended >= first]
    best: Points = [(first - zero, KNEE), (last - zero, KNEE)]
    return [
        Panel(
            "jobs at once",
            {"limit of gradient": [(at - zero, _at(limits, at)) for at in steps], "best fixed limit": best},
        ),
        Panel("jobs a second", done),
        Panel("seconds", {"response time with gradient": sorted(times)}),
    ]
