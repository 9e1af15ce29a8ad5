"""Limits: a rate and a concurrency over three workers with a backlog, one of which is killed while it holds permits.

When a job started is what the server says: `take` writes its clock into the record, in ms. Of a job that ran again the
earlier start counts as well, by the clock of the job itself. Every span of a second that begins with a start counts.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from pathlib import Path
from typing import Final

from chaos.application import CONCURRENCY, INSIDE_KEY, RATE_PER_SECOND
from chaos.figures import Outcome
from chaos.history import Line, Recorder, read
from chaos.session import Plan, Session
from conditions import eventually
from scenarios.scenario import Check, Panel, Points, Result, scenario, share
from tidemill import Tidemill, call

QUEUE: Final = "limited"
RATED_JOBS: Final = 6_000
AT_ONCE_JOBS: Final = 300
JOB_SECONDS: Final = 0.2
KILL_AFTER_SECONDS: Final = 4.0
TOLERANCE: Final = 0.01
# A moment in which nobody came is lost to a rate, as it must be if no second is to have too many: on average that shows
# how busy the machine is. Undisturbed, a second has all.
LEAST_OF_RATE: Final = 0.5
LEASE_SECONDS: Final = 2.0


@scenario("limits")
def limits(directory: Path, flavour: str) -> Result:
    session = Session(Plan(0, 1, directory, flavour, LEASE_SECONDS, workers=3, supervised=0, schedulers=1, producers=0))
    try:
        # No server dies here, and the pace of a disk is not what is measured.
        session.server.client.config_set("appendfsync", "everysec")
        session.start()
        recorder = Recorder(directory, "load")
        _enqueue(session, recorder)
        killed = _kill_a_holder(session, directory)
        session.heal_and_drain()
        session.server.client.delete(INSIDE_KEY)
        session.stop()
        outcome = session.look()
    finally:
        session.close()
    return _result(outcome, directory, killed)


def _enqueue(session: Session, recorder: Recorder) -> None:
    with Tidemill(session.network.url) as mill:
        for name, calls in (
            ("at_once", [call(JOB_SECONDS) for _ in range(AT_ONCE_JOBS)]),
            ("in_time", [call() for _ in range(RATED_JOBS)]),
        ):
            jobs = mill.named(f"chaos.application.{name}").using(queue=QUEUE).enqueue_many(calls)
            for job in jobs:
                recorder.write("enqueue", type="invoke", job=job.id, kind=name)
                recorder.write("enqueue", type="ok", job=job.id, kind=name, answer=job.id)


def _await_death(session: Session, directory: Path, target: str) -> None:
    eventually(lambda: target in _exited(session, directory), f"{target} is dead")


def _kill_a_holder(session: Session, directory: Path) -> float:
    """Kills workers until one of them was inside. Returns when, in unix seconds."""
    client = session.server.client
    threading.Event().wait(KILL_AFTER_SECONDS)
    while True:
        eventually(lambda: any(map(int, client.hvals(INSIDE_KEY))), "some are inside", 60)
        session.nemesis.kinds["kill worker"]()
        fault = _lines(directory, "fault")[-1]
        target = fault["target"]
        _await_death(session, directory, target)
        # What it counted is over; its permits are not free before its lease is.
        held = int(client.hget(INSIDE_KEY, target) or 0)
        client.hdel(INSIDE_KEY, target)
        if held > 0:
            return float(fault["t"])


def _exited(session: Session, directory: Path) -> set[str]:
    session.tend()
    return {line["target"] for line in _lines(directory, "exit")}


def _lines(directory: Path, op: str) -> list[Line]:
    return [line for line in read(directory) if line["op"] == op]


def _starts(outcome: Outcome) -> list[float]:
    """Of all jobs with a rate, in ms, in order."""
    history = outcome.history
    rated = [job for job, order in history.orders.items() if order.kind == "in_time"]
    starts = [float(history.records[job]["started"]) for job in rated if "started" in history.records.get(job, {})]
    starts += [one.began * 1000 for job in rated for one in history.executions.get(job, [])[:-1]]
    return sorted(starts)


def in_span(starts: list[float], ms: float = 1000) -> list[int]:
    """How many there are in each span that begins with one of them; its end does not belong to it."""
    return [bisect_left(starts, start + ms) - index for index, start in enumerate(starts)]


def _result(outcome: Outcome, directory: Path, killed: float) -> Result:
    starts, most = _starts(outcome), RATE_PER_SECOND * (1 + TOLERANCE)
    inside = [(line["t"], int(line["count"])) for line in _lines(directory, "inside")]
    seconds = (starts[-1] - starts[0]) / 1000
    highest, fullest = max(in_span(starts)), max(count for _, count in inside)
    again = sum(len(found) - 1 for found in outcome.history.executions.values())
    wrong = [*map(str, outcome.violations), *outcome.remarks]
    checks = [
        Check(f"at most {most:g} starts in any second", highest <= most, f"{highest} ({len(starts):,} starts)"),
        share(highest, RATE_PER_SECOND, 1 - TOLERANCE, f"of {RATE_PER_SECOND} starts in the fullest second"),
        share((len(starts) - 1) / seconds, RATE_PER_SECOND, LEAST_OF_RATE, f"of {RATE_PER_SECOND} starts on average"),
        Check(f"at most {CONCURRENCY} at once", fullest <= CONCURRENCY, f"{fullest} ({len(inside)} looks)"),
        Check(f"all {CONCURRENCY} permits are used", fullest == CONCURRENCY, str(fullest)),
        Check("jobs of the killed worker ran again", again > 0, str(again)),
        Check("invariants hold", not wrong, "; ".join(wrong[:5]) or "all"),
    ]
    title = (
        f"Limits: {RATE_PER_SECOND}/s and {CONCURRENCY} at once, a holder killed at {killed - starts[0] / 1000:.1f} s"
    )
    return Result(title, checks, _panels(starts, inside))


def _panels(starts: list[float], inside: list[tuple[float, int]]) -> list[Panel]:
    since = starts[0]
    begins = [since + 50 * step for step in range(int((starts[-1] - since - 1000) / 50))]
    counts: Points = [
        ((begin - since) / 1000, float(bisect_left(starts, begin + 1000) - bisect_left(starts, begin)))
        for begin in begins
    ]
    end = counts[-1][0]
    return [
        Panel("starts in the second", {"seen": counts, "limit": [(0, RATE_PER_SECOND), (end, RATE_PER_SECOND)]}),
        Panel(
            "at once",
            {
                "seen": [(at - since / 1000, float(count)) for at, count in inside],
                "limit": [(0, CONCURRENCY), (end, CONCURRENCY)],
            },
        ),
    ]
