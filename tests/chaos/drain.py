"""Many jobs, faults, and then an empty server: does it hold more than before?

Compared is `used_memory` without the stream of events (which is capped in entries, not in bytes), with an empty script
cache and slow log, and with no client but the one that asks: after a warm-up of the same fleet with some thousand jobs,
which makes all that stays (queues, streams, groups), and after all jobs were enqueued, run and dropped under faults;
the fleet is stopped for both. Finished records live for `RESULT_TTL_SECONDS`: longer than a client asks again after a
reply was lost, since an id that is forgotten would be a new job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from chaos import witness
from chaos.session import Plan, Session
from conditions import eventually
from tidemill import EnqueueUnknown, Tidemill, TidemillError, call

WARM_UP_JOBS: Final = 5_000
RESULT_TTL_SECONDS: Final = 20.0
CHUNK_JOBS: Final = 500
# Retention is looked at once a minute; descriptions of dead workers end by themselves after ten leases.
_SWEEP_SECONDS: Final = 150.0
_RUN_SECONDS: Final = 600.0
MAX_GROWTH: Final = 0.05


@dataclass(frozen=True, slots=True)
class Drained:
    """`before` and `after`: bytes, as above. `ids`: of jobs that are known to be in, and of those that may be."""

    before: int
    after: int
    acked: int
    unknown: int
    ended: int
    effects: int
    faults: int
    seconds: float
    remarks: list[str]

    @property
    def growth(self) -> float:
        return self.after / self.before - 1

    def report(self) -> Iterator[str]:
        yield f"drained           {self.acked} jobs acknowledged, {self.unknown} unknown; {self.faults} faults"
        yield f"ended             {self.ended}, with {self.effects} effects, in {self.seconds:.0f} s"
        yield f"memory            {self.before:,} bytes before, {self.after:,} after: {self.growth:+.1%}"
        for remark in self.wrong():
            yield f"WRONG             {remark}"

    def wrong(self) -> list[str]:
        found = list(self.remarks)
        if not self.acked <= self.effects <= self.acked + self.unknown:
            found.append(f"{self.effects} effects")
        if self.ended != self.effects:
            found.append(f"{self.ended} jobs have succeeded, and there are {self.effects} effects")
        if self.growth > MAX_GROWTH:
            found.append(f"memory has grown by {self.growth:.1%}")
        return found


class _Enqueuer(threading.Thread):
    """Enqueues until so many jobs were acknowledged."""

    def __init__(self, url: str, jobs: int) -> None:
        super().__init__(daemon=True)
        self._mill = Tidemill(url)
        self._jobs = jobs
        self.acked = 0
        self.unknown = 0

    def run(self) -> None:
        task = self._mill.named("chaos.application.plain").using(queue="default", result_ttl=RESULT_TTL_SECONDS)
        while self.acked < self._jobs:
            try:
                self.acked += len(task.enqueue_many(call() for _ in range(min(CHUNK_JOBS, self._jobs - self.acked))))
            except EnqueueUnknown as error:
                self.acked += len(error.enqueued)
                self.unknown += len(error.jobs)
            except TidemillError as error:
                enqueued: tuple[Any, ...] = getattr(error, "enqueued", ())
                self.acked += len(enqueued)
        self._mill.close()


def drain(plan: Plan, jobs: int) -> Drained:
    began = time.monotonic()
    session = Session(replace(plan, producers=0))
    try:
        _run(session, WARM_UP_JOBS, disturbed=False)
        before = _settled_memory(session)
        enqueuer = _run(session, jobs, disturbed=True)
        after = _settled_memory(session)
        session.examine_server()
        counters = session.server.client.hgetall(witness.KEYS.queue("default"))
        return Drained(
            before,
            after,
            enqueuer.acked + WARM_UP_JOBS,
            enqueuer.unknown,
            int(counters[b"succeeded"]),
            sum(1 for _ in (plan.directory / "effects").iterdir()),
            sum(session.nemesis.count.values()),
            time.monotonic() - began,
            session.remarks,
        )
    finally:
        session.close()


def _run(session: Session, jobs: int, *, disturbed: bool) -> _Enqueuer:
    session.start()
    enqueuer = _Enqueuer(session.network.url, jobs)
    enqueuer.start()
    if disturbed:
        deadline = time.monotonic() + _RUN_SECONDS
        session.disturb(lambda: not enqueuer.is_alive() or time.monotonic() > deadline)
    enqueuer.join(_RUN_SECONDS)
    session.heal_and_drain()
    eventually(lambda: _is_swept(session), "finished records were dropped", _SWEEP_SECONDS)
    return enqueuer


def _is_swept(session: Session) -> bool:
    """No record is left, and no description of a worker that is gone."""
    session.tend()
    keys = session.server.all_keys()
    workers = session.server.client.zcard(witness.KEYS.workers)
    return not any(":job:" in key for key in keys) and sum(":worker:" in key for key in keys) == workers


def _settled_memory(session: Session) -> int:
    session.stop()
    client = session.server.client
    client.script_flush()
    client.slowlog_reset()
    return int(witness.used_memory(session.server)) - int(client.memory_usage(witness.KEYS.events, samples=0) or 0)
