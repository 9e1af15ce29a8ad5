"""A greedy tenant: one floods a queue that others share; then the same flood where nobody has a tenant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos.figures import Outcome
from chaos.history import Recorder
from chaos.reading import Execution
from chaos.session import Plan, Session
from conditions import eventually
from scenarios.flood import Flood
from scenarios.load import Load
from scenarios.sampling import Sampler
from scenarios.scenario import Check, Panel, Points, Result, scenario
from tidemill import Tidemill

SHARED_QUEUE: Final = "slow"
PLAIN_QUEUE: Final = "default"
WORKERS: Final = 2
JOB_SECONDS: Final = 0.2
FLOOD_JOBS: Final = 100_000
# Without tenants less does harm enough.
PLAIN_FLOOD_JOBS: Final = 20_000
# As many as it gets while it is looked at, several times over.
HEAVY_JOBS: Final = 3_000
WEIGHT: Final = 3.0
# Less than its part, which is a fifth of what the fleet can do.
STEADY_PER_SECOND: Final = 6.0
CALM_SECONDS: Final = 8.0
FLOODED_SECONDS: Final = 9.0
PLAIN_SECONDS: Final = 2.0
# The floods end by themselves: those who flood need some seconds, and then it is looked at.
FLOOD_LIVES_SECONDS: Final = 18.0
PLAIN_FLOOD_LIVES_SECONDS: Final = 6.0
# Not counted: the first jobs of a process that has just started, and of a flood, which meet nobody.
WARM_SECONDS: Final = 2.0


@scenario("greedy-tenant")
def greedy_tenant(directory: Path, flavour: str) -> Result:
    session = Session(Plan(0, 1, directory, flavour, workers=WORKERS, supervised=0, schedulers=1, producers=0))
    sampler = Sampler(session.server, SHARED_QUEUE)
    try:
        session.start()
        sampler.start()
        run = _Run(session.network.url, directory, sampler)
        asyncio.run(run.all())
        session.heal_and_drain()
        session.stop()
        sampler.close()
        outcome = session.look()
    finally:
        session.close()
    return _Seen(run, outcome).result()


class _Run:
    """The load, phase by phase."""

    def __init__(self, url: str, directory: Path, sampler: Sampler) -> None:
        self._url, self._directory = url, directory
        self._sampler = sampler
        recorder = Recorder(directory, "load")
        self._mill = Tidemill(url)
        self.calm, self.flooded, self.plain = (Load(recorder, "slow", name) for name in ("calm", "flooded", "plain"))
        self.began = self.flooded_at = self.ended = 0.0

    async def all(self) -> None:
        await self._mill.inspect.aweight(SHARED_QUEUE, "heavy", WEIGHT)
        self.began = time.time()
        await self.calm.run(self._enqueue_shared, STEADY_PER_SECOND, CALM_SECONDS, evenly=True)
        heavy = Flood(SHARED_QUEUE, "heavy", HEAVY_JOBS, JOB_SECONDS, FLOOD_LIVES_SECONDS)
        greedy = Flood(SHARED_QUEUE, "greedy", FLOOD_JOBS, JOB_SECONDS, FLOOD_LIVES_SECONDS)
        flood_ends = time.time() + FLOOD_LIVES_SECONDS
        await greedy.run(self._url, self._directory)
        await heavy.run(self._url, self._directory)
        self.flooded_at = time.time()
        await self.flooded.run(self._enqueue_shared, STEADY_PER_SECOND, FLOODED_SECONDS, evenly=True)
        self.ended = min(time.time(), flood_ends)
        await asyncio.to_thread(eventually, lambda: not self._sampler.look().held, "the flood is over", 60)
        plain = Flood(PLAIN_QUEUE, "", PLAIN_FLOOD_JOBS, JOB_SECONDS, PLAIN_FLOOD_LIVES_SECONDS)
        await plain.run(self._url, self._directory)
        await self.plain.run(self._enqueue_plain, STEADY_PER_SECOND, PLAIN_SECONDS, evenly=True)
        await self._mill.aclose()
        self._mill.close()

    async def _enqueue_shared(self, job_id: str) -> Any:
        task: Any = self._mill.named("chaos.application.coroutine")
        return await task.using(queue=SHARED_QUEUE, tenant="steady", job_id=job_id).aenqueue(JOB_SECONDS)

    async def _enqueue_plain(self, job_id: str) -> Any:
        task: Any = self._mill.named("chaos.application.coroutine")
        return await task.using(queue=PLAIN_QUEUE, job_id=job_id).aenqueue(JOB_SECONDS)


class _Seen:
    """What came of it, by the history."""

    def __init__(self, run: _Run, outcome: Outcome) -> None:
        self._run, self._outcome = run, outcome
        self._history = outcome.history

    def latencies(self, load: Load) -> Points:
        """Of each job: when it was asked for, and how long from then to its end, in seconds."""
        found: Points = []
        for arrival in load.arrivals:
            asked = self._history.orders[arrival.job_id].first_asked
            if asked < self._run.began + WARM_SECONDS:
                continue
            ended = self._history.executions[arrival.job_id][-1].ended
            assert ended is not None
            found.append((asked, ended - asked))
        return found

    def started(self) -> Mapping[str, list[float]]:
        """When jobs of the two floods started, while both had a backlog."""
        tenants: dict[str, list[float]] = {"greedy": [], "heavy": []}
        for tenant, starts in tenants.items():
            starts.extend(
                execution.began
                for job in self._jobs_of(tenant)
                for execution in self._history.executions.get(job, list[Execution]())
                if self._run.flooded_at + WARM_SECONDS <= execution.began <= self._run.ended
            )
        return tenants

    def _jobs_of(self, tenant: str) -> list[str]:
        return [job for job, order in self._history.orders.items() if order.asked_by == f"flood of {tenant}"]

    def result(self) -> Result:
        run, outcome = self._run, self._outcome
        calm, flooded, plain = (
            percentile([latency for _, latency in self.latencies(load)], 99)
            for load in (run.calm, run.flooded, run.plain)
        )
        started = self.started()
        share = len(started["heavy"]) / max(1, len(started["greedy"]))
        wrong = [*map(str, outcome.violations), *outcome.remarks]
        checks = [
            Check(
                f"p99 of a steady tenant beside a flood of {FLOOD_JOBS:,} < 2 times that without it",
                flooded < 2 * calm,
                f"{flooded * 1000:.0f} ms, {flooded / calm:.2f} times {calm * 1000:.0f} ms",
            ),
            Check(
                f"a tenant of weight {WEIGHT:g} gets {WEIGHT:g} times as much, within 10 %",
                0.9 * WEIGHT <= share <= 1.1 * WEIGHT,
                f"{share:.2f} times ({len(started['heavy'])} and {len(started['greedy'])} jobs)",
            ),
            Check(
                f"a flood of {PLAIN_FLOOD_JOBS:,} without tenants does harm: p99 > 10 times",
                plain > 10 * calm,
                f"{plain:.1f} s, {plain / calm:.0f} times",
            ),
            Check("invariants hold", not wrong, "; ".join(wrong[:5]) or "all"),
        ]
        return Result(f"A greedy tenant: {FLOOD_JOBS:,} jobs at once", checks, self._panels(started))

    def _panels(self, started: Mapping[str, list[float]]) -> list[Panel]:
        since = self._run.began
        seconds = range(int(self._run.flooded_at - since + WARM_SECONDS), int(self._run.ended - since))
        rates = {
            f"{tenant}": [
                (second + 0.5, float(sum(since + second <= at < since + second + 1 for at in starts)))
                for second in seconds
            ]
            for tenant, starts in started.items()
        }
        loads = {"alone": self._run.calm, "beside the flood": self._run.flooded}
        steady = {
            name: [(at - since, 1000 * latency) for at, latency in sorted(self.latencies(load))]
            for name, load in loads.items()
        }
        return [
            Panel("steady tenant: ms to a job's end", steady),
            Panel("jobs started a second", rates),
        ]
