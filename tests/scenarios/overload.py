"""Overload: arrivals at three times what the fleet can do, on a queue with a limit; then half of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos.figures import Outcome
from chaos.history import Recorder
from chaos.session import Plan, Session
from conditions import eventually
from scenarios.load import Arrival, Load
from scenarios.sampling import Sampler
from scenarios.scenario import Check, Panel, Result, scenario, share
from tidemill import QueueFull, Tidemill, call

QUEUE: Final = "slow"
JOB_SECONDS: Final = 0.04
CALIBRATION_JOBS: Final = 500
OVERLOAD: Final = 3.0
OVERLOAD_SECONDS: Final = 30.0
NORMAL: Final = 0.5
NORMAL_SECONDS: Final = 10.0
# From when on all is to be as it was before.
RECOVERED_AFTER_SECONDS: Final = 5.0
# What the queue may hold, in seconds of the fleet's work: so long an accepted job waits.
LIMIT_SECONDS: Final = 0.5
MEMORY_BYTES: Final = 64_000_000
BURSTS: Final = 7


@scenario("overload")
def overload(directory: Path, flavour: str) -> Result:
    session = Session(Plan(0, 1, directory, flavour, workers=1, supervised=0, schedulers=1, producers=0))
    session.server.client.config_set("maxmemory", MEMORY_BYTES)
    sampler = Sampler(session.server, QUEUE)
    try:
        session.start()
        sampler.start()
        run = _Run(session, sampler, Recorder(directory, "load"))
        asyncio.run(run.all())
        ratios = run.retry_ratios()
        session.heal_and_drain()
        session.stop()
        sampler.close()
        outcome = session.look()
    finally:
        session.close()
    return _result(run, ratios, outcome)


class _Run:
    """The load, phase by phase, and what was seen."""

    def __init__(self, session: Session, sampler: Sampler, recorder: Recorder) -> None:
        self.sampler = sampler
        self._recorder = recorder
        self._mill = Tidemill(session.network.url)
        self._task: Any = self._mill.named("chaos.application.slow").using(queue=QUEUE)
        self.overload, self.normal = Load(recorder, "slow", "overload"), Load(recorder, "slow", "normal")
        self.capacity = 0.0
        self.limit = 0
        self.began = self.ended = self.calm_at = 0.0

    async def all(self) -> None:
        await self._calibrate()
        self.limit = round(LIMIT_SECONDS * self.capacity)
        await self._mill.inspect.alimit(QUEUE, self.limit)
        self.began = time.time()
        await self.overload.run(self._enqueue, OVERLOAD * self.capacity, OVERLOAD_SECONDS)
        self.ended = time.time()
        await self.normal.run(self._enqueue, NORMAL * self.capacity, NORMAL_SECONDS)
        self.calm_at = time.time()
        await self._mill.aclose()

    async def _enqueue(self, job_id: str) -> Any:
        return await self._task.using(job_id=job_id).aenqueue(JOB_SECONDS)

    async def _calibrate(self) -> None:
        """What the fleet does in a second, with a backlog and no limit."""
        backlog = Load(self._recorder, "slow", "calibration")
        await asyncio.gather(*(backlog.one(self._enqueue) for _ in range(CALIBRATION_JOBS)))
        times: list[float] = []
        for share_done in (0.2, 0.9):
            await asyncio.to_thread(self._await_ended, share_done * CALIBRATION_JOBS)
            times.append(time.time())
        self.capacity = 0.7 * CALIBRATION_JOBS / (times[1] - times[0])
        await asyncio.to_thread(eventually, lambda: not self.sampler.look().held, "the backlog is gone", 60)

    def _await_ended(self, jobs: float) -> None:
        eventually(lambda: self.sampler.look().ended >= jobs, "the backlog is run", 60)

    def retry_ratios(self) -> list[float]:
        """The queue is filled in one call, again and again: when there was room, as a part of what was said."""
        ratios: list[float] = []
        for _ in range(BURSTS):
            began, said = self._fill()
            eventually(lambda: self.sampler.look().held < 0.85 * self.limit, "there is room", 60)
            ratios.append(said / (time.time() - began))
            eventually(lambda: not self.sampler.look().held, "all is done", 60)
        self._mill.close()
        return ratios

    def _fill(self) -> tuple[float, float]:
        calls = [call(JOB_SECONDS) for _ in range(self.limit + 1)]
        while True:
            try:
                jobs = self._task.enqueue_many(calls, partial=True)
            except QueueFull as error:
                jobs = error.enqueued
                self._note(jobs)
                return time.time(), error.retry_after
            self._note(jobs)

    def _note(self, jobs: Any) -> None:
        for job in jobs:
            self._recorder.write("enqueue", type="invoke", job=job.id, kind="slow")
            self._recorder.write("enqueue", type="ok", job=job.id, kind="slow", answer=job.id)


def _waits(arrivals: list[Arrival], outcome: Outcome, since: float = 0.0) -> list[float]:
    """From the answer to the start, in seconds, of those that got in after `since`."""
    executions = outcome.history.executions
    return [
        max(0.0, executions[arrival.job_id][0].began - arrival.answered_at)
        for arrival in arrivals
        if arrival.retry_after is None and arrival.answered_at >= since and arrival.job_id in executions
    ]


def _result(run: _Run, ratios: list[float], outcome: Outcome) -> Result:
    goodput = run.sampler.rate(run.began + 1, run.ended)
    accepted = _waits(run.overload.arrivals, outcome)
    recovered = _waits(run.normal.arrivals, outcome, run.ended + RECOVERED_AFTER_SECONDS)
    refused = [arrival for arrival in run.overload.arrivals if arrival.retry_after is not None]
    most_memory = max(sample.memory_bytes for sample in run.sampler.samples)
    bound = run.limit / run.capacity
    wait_p99, calm_p99, ratio = percentile(accepted, 99), percentile(recovered, 99), median(ratios)
    wrong = [*map(str, outcome.violations), *outcome.remarks]
    checks = [
        share(goodput, run.capacity, 0.9, f"goodput at {OVERLOAD:g} times the capacity of {run.capacity:.0f} jobs/s"),
        Check("jobs were refused", bool(refused), f"{len(refused):,} of {len(run.overload.arrivals):,}"),
        Check(f"memory below {MEMORY_BYTES / 1e6:.0f} MB", most_memory < MEMORY_BYTES, f"{most_memory / 1e6:.1f} MB"),
        Check(f"p99 wait of accepted jobs ≤ 1.5 times {bound:.2f} s", wait_p99 <= 1.5 * bound, f"{wait_p99:.2f} s"),
        Check("retry_after within 2 times of the truth", 0.5 <= ratio <= 2, f"{ratio:.2f} (each: {_each(ratios)})"),
        Check(
            f"p99 wait {RECOVERED_AFTER_SECONDS:g} s after the overload ≤ 2 times a job's time",
            calm_p99 <= 2 * JOB_SECONDS,
            f"{calm_p99 * 1000:.0f} ms",
        ),
        Check("invariants hold", not wrong, "; ".join(wrong[:5]) or "all"),
    ]
    return Result(f"Overload: {OVERLOAD:g} times the capacity for {OVERLOAD_SECONDS:g} s", checks, _panels(run))


def _each(values: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def _panels(run: _Run) -> list[Panel]:
    since = run.began
    arrivals = run.overload.arrivals + run.normal.arrivals
    seconds = range(int(run.calm_at - since) + 1)
    offered = [(float(second), float(_in_second(arrivals, since + second))) for second in seconds]
    held = [(sample.at - since, float(sample.held)) for sample in run.sampler.samples if sample.at >= since - 2]
    done = [point for point in run.sampler.rates(since) if point[0] >= -2]
    return [
        Panel("jobs a second", {"asked for": offered, "done": done}),
        Panel("jobs in the queue", {"held": held, "limit": [(held[0][0], run.limit), (held[-1][0], run.limit)]}),
    ]


def _in_second(arrivals: list[Arrival], begin: float) -> int:
    return sum(begin <= arrival.answered_at < begin + 1 for arrival in arrivals)
