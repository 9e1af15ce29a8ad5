"""Cold start: a worker comes while the fleet is fully loaded with jobs of thousands of templates.

There is always a backlog, and a job only waits, so a worker is as fast as its slots are full: what it lacks at first it
has waited for templates. From its first job on its starts are counted in slices of 100 ms. Its steady pace is that of
its last seconds; it is reached when five slices together have 95 % of it. First comes a worker with warming, then one
without. What a version that is not held costs its job is seen in how long the jobs of the first second were with the
worker before they started; nothing of it is the event loop's, so others go on.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos import witness
from chaos.history import lines_of, read
from conditions import eventually
from scenarios.depths import Depths
from scenarios.pace import SLICE_SECONDS, Pace, pace_of
from scenarios.scenario import Check, Panel, Points, Result, scenario
from scenarios.stage import Stage
from tidemill import Tidemill
from tidemill_consumers import settings

APP: Final = "scenarios.templates_app"
QUEUE: Final = "default"
TEMPLATES: Final = 3_000
DEFAULTS_BYTES: Final = 2_048
# So short that most of a worker's first second passes with versions that it does not have.
JOB_SECONDS: Final = 0.01
CONCURRENCY: Final = 12
# Zipf's law: the n-th template has so many jobs as the first, divided by n to this power.
EXPONENT: Final = 0.9
BACKLOG_JOBS: Final = 3_000
ENQUEUED_AT_ONCE: Final = 250
# What the fleet uses is told this often, and a worker can only load what was told.
TOLD_SECONDS: Final = settings.TEMPLATE_REPORT_SECONDS + 2.0
SEEN_SECONDS: Final = 6.0
STEADY_FROM_SECONDS: Final = 3.0
SHARE: Final = 0.95
WITHIN_SECONDS: Final = 2.0
# In which jobs meet most of the templates that a worker without warming does not have.
FIRST_SECONDS: Final = 1.0
# Place of the worker → what is said of it.
COLD: Final[Mapping[str, str]] = {"worker-warming": "with warming", "worker-unwarmed": "without warming"}


@scenario("coldstart")
def coldstart(directory: Path, flavour: str) -> Result:
    worker = ("worker", f"{APP}:mill", f"--concurrency={CONCURRENCY}", "--grace=10", "--no-supervisor")
    places = {
        "worker-running": worker,
        "worker-warming": worker,
        "worker-unwarmed": (*worker, "--no-template-warming"),
        "scheduler": ("scheduler",),
    }
    stage = Stage(directory, flavour, places)
    producer = _Producer(stage)
    try:
        stage.server.client.config_set("appendfsync", "everysec")
        producer.publish()
        stage.start(*COLD)
        producer.start()
        threading.Event().wait(TOLD_SECONDS)
        for place in COLD:
            stage.come(place)
            eventually(lambda: _starts(stage, place), f"{place} has a job", 60)  # noqa: B023
            threading.Event().wait(SEEN_SECONDS + 2 * SLICE_SECONDS)
            stage.leave(place)
        producer.close()
        stage.await_empty(QUEUE)
        ended = producer.depths.look().ended
        stage.stop()
        seen = {place: _look(stage, place) for place in COLD}
        return _result(seen, producer.count, ended, stage.wrong)
    finally:
        producer.close()
        stage.close()


class _Producer(threading.Thread):
    """Keeps a backlog of jobs of all templates, the popular ones more often."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._mill = Tidemill(stage.server.url)
        self._random = Random(1)
        self._weights = list(accumulate(1 / (place + 1) ** EXPONENT for place in range(TEMPLATES)))
        self._templates: list[Any] = []
        self._is_over = threading.Event()
        self.depths = Depths(stage.server, QUEUE)
        self.count = 0

    def publish(self) -> None:
        page = "x" * DEFAULTS_BYTES
        for number in range(TEMPLATES):
            defaults = {"seconds": JOB_SECONDS, "page": f"{number} {page}"}
            self._templates.append(self._mill.template(f"page-{number}", task=f"{APP}.render", defaults=defaults))

    def run(self) -> None:
        asyncio.run(self._keep_a_backlog())

    async def _keep_a_backlog(self) -> None:
        while not self._is_over.is_set():
            if self.depths.look().ready < BACKLOG_JOBS:
                await asyncio.gather(*(self._one().aenqueue(sku="A1") for _ in range(ENQUEUED_AT_ONCE)))
                self.count += ENQUEUED_AT_ONCE
            else:
                await asyncio.sleep(0.02)
        await self._mill.aclose()

    def _one(self) -> Any:
        return self._templates[bisect(self._weights, self._random.random() * self._weights[-1])]

    def close(self) -> None:
        self._is_over.set()
        if self.is_alive():
            self.join()


@dataclass(frozen=True, slots=True)
class _Cold:
    """`idle`: from its process's start to its first job, in seconds; Python's start and the warm-up are in it.
    `held_ms`: how long each job of its first second had been taken, by the server's word, before it started."""

    pace: Pace
    idle: float
    held_ms: Sequence[float]


def _starts(stage: Stage, place: str) -> dict[str, float]:
    """Job → when it was started, in unix seconds."""
    paths = stage.directory.glob(f"{place}.*.jsonl")
    lines = [line for path in paths for line in lines_of(path.read_bytes())]
    return {line["job"]: line["started"] for line in lines if line["op"] == "rendered"}


def _look(stage: Stage, place: str) -> _Cold:
    starts = _starts(stage, place)
    first = min(starts.values())
    (spawned,) = (
        line["t"] for line in read(stage.directory) if line["op"] == "spawn" and line["target"].startswith(f"{place}.")
    )
    early = [job for job, start in starts.items() if start < first + FIRST_SECONDS]
    pipeline = stage.server.client.pipeline(transaction=False)
    for job in early:
        pipeline.hget(witness.KEYS.job(job), "j")
    held_ms = [1000 * starts[job] - int(taken) for job, taken in zip(early, pipeline.execute(), strict=True)]
    return _Cold(pace_of([*starts.values()], SEEN_SECONDS, STEADY_FROM_SECONDS), first - spawned, held_ms)


def _result(seen: Mapping[str, _Cold], enqueued: int, ended: int, wrong: list[str]) -> Result:
    warming = seen["worker-warming"].pace
    checks = [
        Check(
            f"{SHARE:.0%} of the steady pace ≤ {WITHIN_SECONDS:g} s after the first job, with warming",
            warming.reached_after(SHARE) <= WITHIN_SECONDS,
            "; ".join(f"{COLD[place]} {_told(cold)}" for place, cold in seen.items()),
        ),
        Check("all jobs succeeded", ended == enqueued, f"{ended:,} of {enqueued:,}, of {TEMPLATES:,} templates"),
        Check("processes stop in order", not wrong, "; ".join(wrong[:5]) or "all"),
    ]
    lines: dict[str, Points] = {}
    for place, cold in seen.items():
        rates = [count / SLICE_SECONDS for count in cold.pace.counts]
        lines[COLD[place]] = [((slot + 0.5) * SLICE_SECONDS, rate) for slot, rate in enumerate(rates)]
    steady = warming.steady / SLICE_SECONDS
    lines[f"{SHARE:.0%} of the steady pace"] = [(0.0, SHARE * steady), (SEEN_SECONDS, SHARE * steady)]
    title = f"Cold start: a worker comes beside one that runs jobs of {TEMPLATES:,} templates"
    return Result(title, checks, [Panel("jobs a second", lines)])


def _told(cold: _Cold) -> str:
    pace = cold.pace
    return (
        f"{pace.reached_after(SHARE):.1f} s (steady {pace.steady / SLICE_SECONDS:.0f} jobs/s, "
        f"{pace.share_within(WITHIN_SECONDS):.0%} of it in the first {WITHIN_SECONDS:g} s; "
        f"first job {cold.idle:.1f} s after the process's start; taken before it started for "
        f"p50 {percentile(cold.held_ms, 50):.0f} and p99 {percentile(cold.held_ms, 99):.0f} ms in the first second)"
    )
