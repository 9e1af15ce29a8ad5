"""Dead dependency: every call of it fails for a while. Four worker processes share a breaker."""

from __future__ import annotations

import asyncio
import json
import math
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos.figures import Outcome
from chaos.history import Recorder
from chaos.reading import Execution
from chaos.session import Plan, Session
from conditions import eventually
from scenarios.dead_dependency_app import BREAKER, PROBES, RESET_SECONDS
from scenarios.dependency import Dependency
from scenarios.load import Enqueue, Load
from scenarios.sampling import Sampler
from scenarios.scenario import Check, Panel, Points, Result, scenario
from tidemill import Tidemill

_APP: Final = "scenarios.dead_dependency_app:mill"
WORKERS: Final = 4
QUEUE: Final = "guarded"
PER_SECOND: Final = 40.0
HEALTHY_SECONDS: Final = 6.0
DOWN_SECONDS: Final = 20.0
HEALED_SECONDS: Final = 8.0
# Within which each worker is to know that one of them has opened the breaker.
SEEN_SECONDS: Final = 0.1
# What others' latency may grow by, beside twice what it was: a step of the scheduler of a busy machine.
NOISE_SECONDS: Final = 0.05


@scenario("dead-dependency")
def dead_dependency(directory: Path, flavour: str) -> Result:
    plan = Plan(0, 1, directory, flavour, workers=WORKERS, supervised=0, schedulers=1, producers=0, app=_APP)
    session = Session(plan)
    dependency = Dependency(directory / "dependency")
    sampler = Sampler(session.server, QUEUE)
    try:
        session.start()
        sampler.start()
        run = _Run(session, dependency, sampler, Recorder(directory, "load"))
        asyncio.run(run.all())
        eventually(lambda: not sampler.look().held, "all parked jobs have run", 60)
        run.drained_at = time.time()
        session.heal_and_drain()
        session.stop()
        sampler.close()
        outcome = session.look()
    finally:
        session.close()
        dependency.close()
    return _Report(run, outcome, _breaker_times(directory)).result()


class _Run:
    """The load, and when the dependency was down."""

    def __init__(self, session: Session, dependency: Dependency, sampler: Sampler, recorder: Recorder) -> None:
        self.dependency = dependency
        self.sampler = sampler
        self._mill = Tidemill(session.network.url)
        self._guarded = Load(recorder, "guarded", "guarded")
        self.other = Load(recorder, "other", "other")
        self.began = self.down_at = self.healed_at = self.ended_at = self.drained_at = 0.0

    async def all(self) -> None:
        self.began = time.time()
        seconds = HEALTHY_SECONDS + DOWN_SECONDS + HEALED_SECONDS
        await asyncio.gather(
            self._guarded.run(self._enqueue("guarded"), PER_SECOND, seconds, seed=1),
            self.other.run(self._enqueue("other"), PER_SECOND, seconds, seed=2),
            self._disturb(),
        )
        self.ended_at = time.time()
        await self._mill.aclose()

    async def _disturb(self) -> None:
        await asyncio.sleep(HEALTHY_SECONDS)
        self.down_at = self.dependency.fail()
        await asyncio.sleep(DOWN_SECONDS)
        self.healed_at = self.dependency.heal()

    def _enqueue(self, name: str) -> Enqueue:
        queue = QUEUE if name == "guarded" else name
        task: Any = self._mill.named(f"scenarios.dead_dependency_app.{name}").using(queue=queue)

        async def enqueue(job_id: str) -> Any:
            return await task.using(job_id=job_id).aenqueue()

        return enqueue


class _Report:
    def __init__(self, run: _Run, outcome: Outcome, heard: list[tuple[float, str, str]]) -> None:
        self._run = run
        self._outcome = outcome
        self._calls = run.dependency.calls()
        opened = [(at, worker) for at, worker, event in heard if event == "breaker.opened"]
        self._first_opened = min((at for at, _ in opened), default=math.inf)
        seen = {worker: min(at for at, one in opened if one == worker) for _, worker in opened}
        self._seen = sorted(at - self._first_opened for at in seen.values())
        self._closed = min((at for at, _, event in heard if event == "breaker.closed"), default=math.inf)

    def result(self) -> Result:
        title = f"Dead dependency: every call fails for {DOWN_SECONDS:g} s, {WORKERS} worker processes"
        return Result(title, [*self._breaker_checks(), *self._job_checks()], self._panels())

    def _breaker_checks(self) -> list[Check]:
        run, slowest = self._run, self._seen[-1] if self._seen else math.inf
        quiet_from = self._first_opened + max(SEEN_SECONDS, slowest)
        probes = [at for at in self._calls if quiet_from < at < run.healed_at]
        most = max((sum(at <= other < at + RESET_SECONDS for other in probes) for at in probes), default=0)
        before = sum(run.began <= at < run.down_at for at in self._calls) / (run.down_at - run.began)
        executions = [one for one in self._executions("guarded") if quiet_from < one.began < run.healed_at]
        return [
            Check(
                f"all {WORKERS} workers see it open within {SEEN_SECONDS * 1000:.0f} ms",
                len(self._seen) == WORKERS and slowest <= SEEN_SECONDS,
                " ".join(f"{seconds * 1000:.0f}" for seconds in self._seen) + " ms after the first",
            ),
            Check(
                f"then at most {PROBES} calls in any {RESET_SECONDS:g} s",
                0 < most <= PROBES,
                f"{most}, {len(probes)} in {run.healed_at - quiet_from:.0f} s; before {before:.0f} a second",
            ),
            Check(
                "no attempt but the probes'",
                len(executions) == len(probes),
                f"{len(executions)} attempts, {len(probes)} calls",
            ),
            Check(
                f"it closes within {2 * RESET_SECONDS:g} s of the healing",
                self._closed - run.healed_at <= 2 * RESET_SECONDS,
                f"{self._closed - run.healed_at:.1f} s",
            ),
        ]

    def _job_checks(self) -> list[Check]:
        run, history = self._run, self._outcome.history
        orders = [order.job for order in history.orders.values() if order.kind == "guarded" and order.is_acked]
        lost = [job for job in orders if history.final_state(job) != "succeeded"]
        parked = max(sample.held for sample in run.sampler.samples)
        tries = {job: [one.tries for one in history.executions[job]] for job in orders}
        burnt = [job for job, found in tries.items() if found != [*range(1, len(found) + 1)]]
        before = self._waits(run.began, run.down_at)
        while_down = self._waits(self._first_opened, run.healed_at)
        usual = self._usual_longest(run.began, run.down_at)
        then = self._usual_longest(self._first_opened, run.healed_at)
        wrong = [*map(str, self._outcome.violations), *self._outcome.remarks]
        return [
            Check("all parked jobs run", not lost, f"{len(orders):,}, {parked:,} waited at once, {len(lost)} lost"),
            Check("attempts are calls: parking is none", not burnt, f"{len(burnt)} jobs with more"),
            Check(
                "others keep their latency: the longest wait in a second ≤ 2 times what it was, and 50 ms",
                then <= 2 * usual + NOISE_SECONDS,
                f"median {_ms(usual)} before, {_ms(then)} while it is down; p50 {_ms(median(before))} and "
                f"{_ms(median(while_down))}, p99 {_ms(percentile(before, 99))} and {_ms(percentile(while_down, 99))}",
            ),
            Check("invariants hold", not wrong, "; ".join(wrong[:5]) or "all"),
        ]

    def _executions(self, kind: str) -> list[Execution]:
        history = self._outcome.history
        return [one for job, found in history.executions.items() if history.orders[job].kind == kind for one in found]

    def _waits(self, since: float, until: float) -> list[float]:
        """Of the other task, from the answer to the start."""
        executions = self._outcome.history.executions
        return [
            max(0.0, executions[one.job_id][0].began - one.answered_at)
            for one in self._run.other.arrivals
            if since <= one.answered_at < until and one.job_id in executions
        ]

    def _usual_longest(self, since: float, until: float) -> float:
        """The median of the longest waits of each second: what else the machine does for a moment does not count."""
        seconds = [self._waits(since + at, since + at + 1) for at in range(int(until - since))]
        return median(max(waits) for waits in seconds if waits)

    def _panels(self) -> list[Panel]:
        run = self._run
        seconds = [float(second) for second in range(math.ceil(run.drained_at - run.began))]
        calls: Points = [(at, float(sum(at <= one - run.began < at + 1 for one in self._calls))) for at in seconds]
        held = [(one.at - run.began, float(one.held)) for one in run.sampler.samples if one.at >= run.began]
        slowest: Points = []
        for at in seconds:
            waits = self._waits(run.began + at, run.began + at + 1)
            if waits:
                slowest.append((at, 1000 * max(waits)))
        return [
            Panel("a second", {"calls of the dependency": calls}),
            Panel("jobs", {"waiting or running": held}),
            Panel("ms", {"longest wait of another task": slowest}),
        ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _breaker_times(directory: Path) -> list[tuple[float, str, str]]:
    """(when, worker, event), as the workers have logged what they saw."""
    found: list[tuple[float, str, str]] = []
    for path in directory.glob("worker-*.log"):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line.get("breaker") == BREAKER:
                found.append((datetime.fromisoformat(line["ts"]).timestamp(), path.stem, line["event"]))
    return sorted(found)
