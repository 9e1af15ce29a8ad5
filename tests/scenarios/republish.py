"""Republish: a template gets a thousand versions under load, and every job runs with exactly the one it is of.

Each version's defaults say which edition it is. Each job notes what it was given, and what its record says that the
enqueue chose. Jobs are enqueued in three ways: by a version's number, by name (the newest, as the enqueue chose it), or
with the choice left to the worker. When a version was the newest is known from the publisher's calls, up to the time
that each of them took; publisher, workers and server share a clock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.arithmetic import percentile
from chaos import reading
from chaos.history import Line, read
from scenarios.editions import Editions
from scenarios.load import Load
from scenarios.scenario import Check, Panel, Result, scenario
from scenarios.stage import Stage
from tidemill import Job, Tidemill

APP: Final = "scenarios.templates_app"
TEMPLATE: Final = "catalogue-page"
PAGE: Final = "x" * 2_000
WORKERS: Final = 3
VERSIONS: Final = 1_000
PUBLISHED_PER_SECOND: Final = 80.0
JOBS_PER_SECOND: Final = 60.0
"""Of each way to enqueue."""
# Jobs by number are of one of the newest so many.
PINNED_BACK: Final = 50
# How old a choice may be, and how soon after a publication no worker answers an older version.
FRESH_SECONDS: Final = 0.2
LAST_JOBS: Final = 300
WAYS: Final = ("number", "name", "start", "last")
QUEUE: Final = "default"


@scenario("republish")
def republish(directory: Path, flavour: str) -> Result:
    worker = ("worker", f"{APP}:mill", "--concurrency=20", "--grace=10", "--no-supervisor")
    places = {f"worker-{number}": worker for number in range(WORKERS)}
    stage = Stage(directory, flavour, {**places, "scheduler": ("scheduler",)})
    try:
        stage.server.client.config_set("appendfsync", "everysec")
        publisher = _Publisher(stage.server.url)
        publisher.publish()
        stage.start()
        loads = asyncio.run(_load(stage, publisher))
        stage.await_empty(QUEUE)
        stage.stop()
        return _result(_Seen(Editions(publisher.published), loads, stage.history(), read(directory)), stage)
    finally:
        stage.close()


class _Publisher(threading.Thread):
    """Publishes edition 2, 3, … in time. A client of its own: what it knows is no help to those who enqueue."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._mill = Tidemill(url)
        self.published: list[tuple[float, float]] = []

    def publish(self) -> None:
        edition, asked = len(self.published) + 1, time.time()
        self._mill.template(TEMPLATE, task=f"{APP}.report", defaults={"edition": edition, "page": PAGE})
        self.published.append((asked, time.time()))

    def run(self) -> None:
        due, never = time.time(), threading.Event()
        while len(self.published) < VERSIONS:
            due += 1 / PUBLISHED_PER_SECOND
            never.wait(max(0.0, due - time.time()))
            self.publish()
        self._mill.close()


async def _load(stage: Stage, publisher: _Publisher) -> Mapping[str, Load]:
    """All ways side by side while it publishes; then, when the last edition is old enough, jobs that start with it."""
    mill, random = Tidemill(stage.server.url), Random(1)
    template = mill.template(TEMPLATE)
    loads = {way: Load(stage.recorder, "plain", way) for way in WAYS}

    async def by_number(job_id: str) -> Job[Any]:
        newest = len(publisher.published)
        number = random.randint(max(1, newest - PINNED_BACK), newest)
        return await template.using(job_id=job_id, version=number).aenqueue(asked_for=number)

    async def by_name(job_id: str) -> Job[Any]:
        return await template.using(job_id=job_id).aenqueue()

    async def at_start(job_id: str) -> Job[Any]:
        return await template.using(job_id=job_id, choose="at_start").aenqueue()

    publisher.start()
    seed = 0
    while publisher.is_alive():
        seed += 1
        await asyncio.gather(
            *(
                loads[way].run(enqueue, JOBS_PER_SECOND, 1.0, 10 * seed + place)
                for place, (way, enqueue) in enumerate((("number", by_number), ("name", by_name), ("start", at_start)))
            )
        )
    await asyncio.sleep(publisher.published[-1][1] + FRESH_SECONDS - time.time())
    await asyncio.gather(*(loads["last"].one(at_start) for _ in range(LAST_JOBS)))
    await mill.aclose()
    return loads


@dataclass(slots=True)
class _Seen:
    """What came of it. `ran`: job → the edition that it was given, the last time that it ran, and when."""

    editions: Editions
    loads: Mapping[str, Load]
    history: reading.History
    lines: Sequence[Line]
    ran: dict[str, Line] = field(init=False)

    def __post_init__(self) -> None:
        self.ran = {line["job"]: line for line in self.lines if line["op"] == "ran"}

    def of(self, *ways: str) -> list[Line]:
        """In the order of their enqueues."""
        arrivals = [arrival.job_id for way in ways for arrival in self.loads[way].arrivals]
        return [self.ran[job] for job in arrivals if job in self.ran]

    def taken(self, job: str) -> float:
        """When the server gave it to its worker, in unix seconds: the version is chosen after that."""
        return int(self.history.records[job]["started"]) / 1000

    def is_fresh(self, line: Line) -> bool:
        start = min(line["t"], self.taken(line["job"]))
        return self.editions.could_be_newest(line["edition"], start - FRESH_SECONDS, line["t"])

    def behind_ms(self, line: Line) -> float:
        """For how long the edition that it ran with had been superseded when it was taken."""
        return 1000 * self.editions.superseded_seconds(line["edition"], min(line["t"], self.taken(line["job"])))


def _result(seen: _Seen, stage: Stage) -> Result:
    pinned, late, last = seen.of("number", "name"), seen.of("start"), seen.of("last")
    wrong_version = [
        line for line in pinned if not line["edition"] == line["chosen"] == (line["asked_for"] or line["chosen"])
    ]
    stale = [line for line in late if not seen.is_fresh(line)]
    outdated = [line for line in last if line["edition"] != VERSIONS]
    records = seen.history.records
    asked_for = [arrival.job_id for load in seen.loads.values() for arrival in load.arrivals]
    failed = [job for job in asked_for if records.get(job, {}).get("state") != "succeeded"]
    behind = sorted(seen.behind_ms(line) for line in late)
    workers = {line["proc"] for line in last}
    begin, end = seen.editions.published[0][0], seen.editions.published[-1][1]
    fresh_ms = round(1000 * FRESH_SECONDS)
    checks = [
        Check(
            f"{VERSIONS:,} versions are published",
            len(seen.editions.published) == VERSIONS,
            f"{VERSIONS / (end - begin):.0f}/s beside {len(asked_for):,} jobs",
        ),
        Check(
            "jobs of a version chosen at their enqueue ran with it",
            bool(pinned) and not wrong_version,
            f"{len(pinned):,}, {len(wrong_version)} with another one",
        ),
        Check(
            f"what jobs chose at their start was the newest at most {fresh_ms} ms before",
            bool(late) and not stale,
            f"{len(late):,}, {len(stale)} with an older one; superseded when taken for ms: {_told(behind)}",
        ),
        Check(
            f"{fresh_ms} ms after the last publication nothing older is current",
            len(last) == LAST_JOBS and not outdated and len(workers) == WORKERS,
            f"{len(last)} jobs on {len(workers)} workers, {len(outdated)} with an older one",
        ),
        Check("none failed", not failed, f"{len(failed)} of {len(asked_for):,}"),
        Check("invariants hold", not stage.wrong, "; ".join(stage.wrong[:5]) or "all"),
    ]
    return Result(f"Republish: {VERSIONS:,} versions of a template under load", checks, _panels(seen, late, begin))


def _told(values: Sequence[float]) -> str:
    return ", ".join(f"p{percent} {percentile(values, percent):.0f}" for percent in (50, 90, 99, 100))


def _panels(seen: _Seen, late: Sequence[Line], begin: float) -> list[Panel]:
    lines = sorted(late, key=lambda line: line["t"])
    published = [(answered - begin, float(place + 1)) for place, (_, answered) in enumerate(seen.editions.published)]
    ran = [(line["t"] - begin, float(line["edition"])) for line in lines]
    behind = [(line["t"] - begin, seen.behind_ms(line)) for line in lines]
    bound = [(0.0, 1000 * FRESH_SECONDS), (published[-1][0], 1000 * FRESH_SECONDS)]
    return [
        Panel("version", {"published": published, "chosen at the start": ran}),
        Panel("ms superseded when taken", {"chosen at the start": behind, "bound": bound}),
    ]
