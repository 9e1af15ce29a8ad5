"""A million jobs due in the same millisecond, beside a queue with a steady stream of due jobs.

Workers run some of them for a while; then all is stopped, and counted: what ran is checked as in a chaos run, the rest
has to be in the wheel or in the streams, each once. A history of a million jobs would take longer to read than to make.

Is a script slow of itself, or was the machine away while it ran? One that is slow of itself is slow whenever it does as
much. So full batches are promoted again and again from the same wheel at the end: what three of four take at least is
what a batch costs. What the server's slow log has seen in the burst has to be rare.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos.history import read
from chaos.processes import APP
from scenarios.depths import Depths
from scenarios.scenario import Check, Panel, Result, scenario
from scenarios.stage import Stage
from tidemill import Tidemill, call
from tidemill.enqueueing import at
from tidemill.task import NamedTask
from tidemill_scheduler import settings

JOBS: Final = 1_000_000
SLICE_JOBS: Final = 20_000
BURST, STEADY, SPEED = "default", "steady", "speed"
TASK: Final = "chaos.application.coroutine"
# So that a worker does some thousand of them: a history of more takes longer than all the rest.
JOB_SECONDS: Final = 0.01
BURST_SECONDS: Final = 8.0
# So much longer than the first jobs say a million may take to be enqueued: each costs more in a fuller server, and
# others may use the machine as well.
SLOWER: Final = 2.0
# Between the last enqueue and the due time, to see the steady queue beside a million that are not due yet.
QUIET_SECONDS: Final = 4.0
STEADY_PER_SECOND: Final = 20
STEADY_DELAY_SECONDS: Final = 0.3
SLOW_US: Final = 2_000
# Of the calls in the burst: so many may have been held up by the machine.
SLOW_SHARE: Final = 0.05
BATCHES_AGAIN: Final = 50
# The tickets of the high-water mark, and records that grow while they run.
MEMORY_GROWTH_BYTES: Final = 32_000_000
SERVER_BYTES: Final = 1_500_000_000


@scenario("burst")
def burst(directory: Path, flavour: str) -> Result:
    run = _Run(directory, flavour)
    try:
        run.start()
        asyncio.run(run.all())
        run.stop()
        ended = run.look()
        batch_us = run.batch_us()
    finally:
        run.close()
    return _result(run, ended, batch_us)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What came of it. `wrong`: violations, processes that did not stop, and jobs that are nowhere."""

    wrong: list[str]
    ran: int
    left: int
    before_ms: list[int]
    beside_ms: list[int]
    slow: int
    calls: int


class _Run:
    """A scheduler, a worker for each queue, and what was seen of them."""

    def __init__(self, directory: Path, flavour: str) -> None:
        worker = ("worker", APP, "--concurrency=8", "--grace=5", "--no-supervisor")
        places = {f"worker-{queue}": (*worker, f"--queues={queue}") for queue in (BURST, STEADY)}
        server = ("--maxmemory", str(SERVER_BYTES), "--auto-aof-rewrite-percentage", "0")
        self.stage = Stage(directory, flavour, {**places, "scheduler": ("scheduler",)}, *server)
        self.server = self.stage.server
        self._mill = self.stage.mill
        self._recorder = self.stage.recorder
        self.depths = Depths(self.server, BURST)
        self.enqueue_seconds = 0.0
        self.asked = self.quiet = self.due = self.ended = 0.0  # unix seconds
        self.lateness: list[tuple[float, int]] = []  # when it was due, and how late in ms it was taken
        self._is_over = asyncio.Event()
        self._calls = 0

    def start(self) -> None:
        self.stage.start()
        self.depths.start()

    async def all(self) -> None:
        steady = asyncio.create_task(self._steady())
        await asyncio.to_thread(self._enqueue_million)
        self.quiet = time.time()
        await asyncio.sleep(self.due - time.time() - 0.5)
        self.server.client.config_set("slowlog-log-slower-than", SLOW_US)
        self.server.client.config_set("slowlog-max-len", 100_000)
        self.server.client.slowlog_reset()
        self.server.client.config_resetstat()
        await asyncio.sleep(0 if self.is_too_late else self.due + BURST_SECONDS - time.time())
        self.ended = time.time()
        self._calls = self.server.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        self.server.client.config_set("slowlog-log-slower-than", -1)
        self._is_over.set()
        await steady
        await self._mill.aclose()

    def _enqueue_million(self) -> None:
        """All with one due time, which is to come soon after the last of them."""
        task: Any = self._mill.named(TASK)
        calls = [call(JOB_SECONDS)] * SLICE_JOBS
        began = time.monotonic()
        task.using(queue=SPEED, delay=86_400).enqueue_many(calls)  # these never run; they tell how long it takes
        a_slice_seconds = time.monotonic() - began
        self.asked = time.time()
        self.due = float(int(self.asked + SLOWER * a_slice_seconds * JOBS / SLICE_JOBS + QUIET_SECONDS))
        burst = NamedTask[None](self._mill.client, TASK, at(task.using(queue=BURST).options, int(self.due * 1000)))
        began = time.monotonic()
        for _ in range(JOBS // SLICE_JOBS):
            if self.is_too_late:
                break
            burst.enqueue_many(calls)
        self.enqueue_seconds = time.monotonic() - began

    @property
    def is_too_late(self) -> bool:
        """So slow is the machine just now that they become due while they are enqueued."""
        return (self.quiet or time.time()) >= self.due - 1

    async def _steady(self) -> None:
        task: Any = self._mill.named(TASK)
        number, next_at = 0, time.time()
        while not self._is_over.is_set():
            number, next_at = number + 1, next_at + 1 / STEADY_PER_SECOND
            job_id = f"steady-{number}"
            told = {"job": job_id, "kind": "delayed", "delay": STEADY_DELAY_SECONDS}
            self._recorder.write("enqueue", type="invoke", **told)
            job = await task.using(queue=STEADY, job_id=job_id, delay=STEADY_DELAY_SECONDS).aenqueue(JOB_SECONDS)
            self._recorder.write("enqueue", type="ok", **told, answer=job.id)
            await asyncio.sleep(next_at - time.time())

    # -- afterwards ---------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """When the steady queue is empty."""
        self.stage.await_empty(STEADY)
        self.stage.stop()
        self.depths.close()

    def look(self) -> _Ended:
        """The history gets what the producer would have written of the jobs that ran, and their records."""
        ran = sorted({line["job"] for line in read(self.stage.directory) if line["op"] == "start"})
        for job in ran:
            if not job.startswith(STEADY):
                told = {"job": job, "kind": "delayed", "delay": self.due - self.asked, "t": self.asked}
                self._recorder.write("enqueue", type="invoke", **told)
                self._recorder.write("enqueue", type="ok", **told, answer=job)
        history, wrong = self.stage.history(ran), self.stage.wrong
        # From due to taken, both by the server's clock, so that nothing of it is a worker's time.
        steady = [record for job, record in history.records.items() if job.startswith(STEADY)]
        self.lateness = sorted((int(one["due"]) / 1000, int(one["started"]) - int(one["due"])) for one in steady)
        last = self.depths.look()
        if last.scheduled + last.ready + last.ended != JOBS:
            wrong.append(f"{last.scheduled:,} are scheduled, {last.ready:,} ready, {last.ended:,} done: not {JOBS:,}")
        before, beside = (self._lateness_ms(*span) for span in self._spans())
        slow = [one for one in self.server.client.slowlog_get(100_000) if one["command"].startswith(b"EVALSHA")]
        return _Ended(wrong, last.ended, last.scheduled + last.ready, before, beside, len(slow), self._calls)

    def _spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """In which steady jobs were due: after the last enqueue of the burst, and while the burst was."""
        return (self.quiet + 0.5, self.due - 0.5), (self.due, self.ended)

    def _lateness_ms(self, since: float, until: float) -> list[int]:
        return [ms for due, ms in self.lateness if since <= due < until]

    def batch_us(self) -> float:
        """What promoting a full batch takes the server, out of a wheel of nearly a million, with nothing beside."""
        found: list[int] = []
        with Tidemill(self.server.url) as mill:
            for _ in range(BATCHES_AGAIN):
                self.server.client.config_resetstat()
                mill.client.link.run(mill.client.scripts.promote(BURST, settings.PROMOTE_BATCH, JOBS))
                found.append(self.server.client.info("commandstats")["cmdstat_evalsha"]["usec"])
        return quantiles(found, n=4)[0]

    def close(self) -> None:
        if self.depths.is_alive():
            self.depths.close()
        self.stage.close()


def _result(run: _Run, ended: _Ended, batch_us: float) -> Result:
    if run.is_too_late:
        seen = f"enqueued in {run.enqueue_seconds:.1f} s, and due after {run.due - run.asked:.1f} s"
        return Result(
            "the machine is too slow", [Check("the wheel holds a million before they are due", False, seen)], []
        )
    due = [depth for depth in run.depths.seen if depth.at >= run.due]
    before = [depth for depth in run.depths.seen if run.quiet <= depth.at < run.due]
    most_ready, bound = max(depth.ready for depth in due), settings.HIGH_WATER_JOBS + settings.PROMOTE_BATCH
    grown = max(depth.memory_bytes for depth in due) - before[-1].memory_bytes
    was, is_ = percentile(ended.before_ms, 95), percentile(ended.beside_ms, 95)
    checks = [
        Check(
            "the wheel holds a million before they are due",
            before[-1].scheduled == JOBS,
            f"enqueued in {run.enqueue_seconds:.1f} s",
        ),
        Check(f"a batch of {settings.PROMOTE_BATCH} takes ≤ 2 ms", batch_us <= SLOW_US, f"{batch_us / 1000:.2f} ms"),
        Check(
            f"scripts over 2 ms ≤ {SLOW_SHARE:.0%} of the calls, as only pauses are",
            ended.slow <= SLOW_SHARE * ended.calls,
            f"{ended.slow} of {ended.calls:,}",
        ),
        Check(f"never more than {bound:,} jobs in the streams", most_ready <= bound, f"{most_ready:,}"),
        Check(
            f"memory grows by ≤ {MEMORY_GROWTH_BYTES / 1e6:.0f} MB while they are due",
            grown <= MEMORY_GROWTH_BYTES,
            f"{grown / 1e6:.1f} MB, to {max(depth.memory_bytes for depth in due) / 1e6:.0f} MB",
        ),
        Check(
            "another queue's due jobs are no later than before",
            is_ <= max(2 * was, was + 20),
            f"p50 {percentile(ended.beside_ms, 50):.0f} ms and p95 {is_:.0f} ms, "
            f"before {percentile(ended.before_ms, 50):.0f} ms and {was:.0f} ms",
        ),
        Check("jobs ran", ended.ran > 0, f"{ended.ran:,} in {run.ended - run.due:.0f} s, {ended.left:,} are left"),
        Check("invariants hold, and every job is somewhere", not ended.wrong, "; ".join(ended.wrong[:5]) or "all"),
    ]
    return Result("Burst: a million jobs due in the same millisecond", checks, _panels(run))


def _panels(run: _Run) -> list[Panel]:
    depths = [depth for depth in run.depths.seen if depth.at >= run.due - 3]
    mark = float(settings.HIGH_WATER_JOBS)
    ready = [(depth.at - run.due, float(depth.ready)) for depth in depths]
    ended = [(depth.at - run.due, float(depth.ended)) for depth in depths]
    late = [(due - run.due, float(ms)) for due, ms in run.lateness if due >= run.due - 3]
    return [
        Panel("jobs", {"in the streams": ready, "high-water mark": [(ready[0][0], mark), (ready[-1][0], mark)]}),
        Panel("jobs done", {"done": ended}),
        Panel("ms late", {"the other queue's jobs": late}),
    ]
