"""Random histories of jobs with limits: what must hold after every call, and that everybody's turn comes in the end.

The clock is the test's. At the end nothing is called but what the agenda says is due: a line that it forgot would stand
for ever.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from invariants import violations
from script_state import NOW, World
from servers import Server
from tidemill.wire.command import Command
from tidemill.wire.keys import LINE
from tidemill.wire.scripts import NewJob, NewJobs, Taken

STEPS: Final = 120
LEASE_MS: Final = 500
WORKERS: Final = ("w1", "w2")
QUEUES: Final = ("q", "p")
# Of task t; and for queue p.
ALLOWED: Final = "r20000:3:t c2:t"
CONCURRENCY: Final = 2
INTERVAL_MS: Final = 20
BURST: Final = 3
QUEUE_CONCURRENCY: Final = 3
# Keys of the rate and of the concurrency: jobs share one, both, or have no limits at all.
LIMITS: Final = ("r1 c1", "r1 c2", "r2:2 c1", "r2 c2", "")


class History:
    """Calls by chance. `starts`: of each rate, (when, cost)."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.scripts = world.scripts
        self.random = random.Random(seed)
        self.now = NOW
        self.names = iter(range(10_000))
        self.jobs: list[str] = []
        self.running: dict[str, Taken] = {}
        self.starts: dict[str, list[tuple[int, int]]] = {}
        world.replace({"limits": {"t": ALLOWED}, "queue:p": {"concurrency": str(QUEUE_CONCURRENCY), "known": "1"}})
        world.run(self.scripts.configure("p", {"concurrency": str(QUEUE_CONCURRENCY)}))
        for worker in WORKERS:
            self.register(worker)

    def run(self, command: Command[Any]) -> Any:
        return self.world.run(command)

    def register(self, worker: str) -> None:
        self.run(self.scripts.register(worker, LEASE_MS, QUEUES, {"t": "q"}, {"pid": "1"}, now_ms=self.now))

    # -- calls --------------------------------------------------------------------------------------------------

    def enqueue(self) -> None:
        jobs = [NewJob(f"job{next(self.names):04}", "", b"body") for _ in range(self.random.choice([1, 1, 6]))]
        limits = "\n".join(self.random.choice(LIMITS) for _ in jobs)
        shared = NewJobs(
            self.random.choice(QUEUES),
            "t",
            self.random.choice(["normal", "high"]),
            delay_ms=self.random.choice([0, 0, 30]),
            expires_ms=self.random.choice([None, None, None, 200]),
            limits=limits if limits.strip() else "",
        )
        self.run(self.scripts.enqueue(shared, jobs, now_ms=self.now))
        self.jobs += [job.id for job in jobs]

    def take(self) -> None:
        worker = self.random.choice(WORKERS)
        takings = self.run(self.scripts.take(worker, QUEUES, self.random.choice([1, 3, 8]), now_ms=self.now))
        if takings is None:
            self.register(worker)
            return
        for taken in takings.jobs:
            self.running[taken.id] = taken
            for word in taken.limits.split():
                if word.startswith("r"):
                    name, _, cost = word.partition(":")
                    self.starts.setdefault(name, []).append((self.now, int(cost or 1)))

    def settle(self) -> None:
        if not self.running:
            return
        taken = self.running.pop(self.random.choice(sorted(self.running)))
        kind = self.random.choice(["complete", "complete", "retry", "bury", "park", "release", "abandon"])
        self.end(taken, kind)

    def end(self, taken: Taken, kind: str) -> None:
        rest: dict[str, tuple[object, ...]] = {
            "complete": (b"",),
            "retry": (20, b"error"),
            "bury": (b"error",),
            "park": (20, "nobody knows it", "t"),
        }
        clock = {} if kind == "release" else {"now_ms": self.now}
        method: Any = getattr(self.scripts, kind)
        row = (taken.id, taken.entry, taken.attempt, *rest.get(kind, ()))
        lane = ("high", "normal", "low")[taken.lane]
        self.run(method(taken.incarnation, taken.queue, lane, [row], **clock))

    def cancel(self) -> None:
        if self.jobs:
            self.run(self.scripts.cancel([self.random.choice(self.jobs)], now_ms=self.now))

    def pass_time(self) -> None:
        self.now += self.random.choice([1, 5, 30])
        for worker in WORKERS:
            self.run(self.scripts.renew(worker, LEASE_MS, QUEUES, (), now_ms=self.now))

    def lose_a_worker(self) -> None:
        worker = self.random.choice(WORKERS)
        self.now += LEASE_MS + 1
        for other in WORKERS:
            if other != worker:
                self.run(self.scripts.renew(other, LEASE_MS, QUEUES, (), now_ms=self.now))
        for queue in QUEUES:
            self.run(self.scripts.recover(worker, queue, 100, 3, b"lost", now_ms=self.now))
        self.run(self.scripts.retire(worker, QUEUES, now_ms=self.now))
        self.running = {name: taken for name, taken in self.running.items() if taken.incarnation != worker}
        self.register(worker)

    def schedule(self) -> bool:
        """What the agenda says is due now. False: nothing is."""
        survey = self.run(self.scripts.survey(now_ms=self.now))
        for entry in survey.due_queues:
            limit = entry.removeprefix(LINE)
            promote = self.scripts.promote(entry, 50, 1_000, now_ms=self.now)
            self.run(promote if limit == entry else self.scripts.admit(limit, now_ms=self.now))
        self.run(self.scripts.expire(100, now_ms=self.now))
        return bool(survey.due_queues)

    def step(self) -> None:
        calls = [
            self.enqueue,
            self.take,
            self.take,
            self.settle,
            self.settle,
            self.pass_time,
            self.schedule,
            self.cancel,
        ]
        self.random.choice([*calls * 6, self.lose_a_worker])()

    def drain(self) -> None:
        """Until nothing is left to be done; the clock goes on to what the agenda has next."""
        for _ in range(2_000):
            self.take()
            for name in sorted(self.running):
                self.end(self.running.pop(name), "complete")
            self.check()
            if self.schedule() or self.running or any(self.run(self.scripts.measure(q)).waiting for q in QUEUES):
                self.now += 1
                continue
            survey = self.run(self.scripts.survey(now_ms=self.now))
            if not survey.next_queues:
                return
            self.now = max(self.now + 1, survey.next_queues[0][1])
            for worker in WORKERS:
                self.register(worker)
        raise AssertionError("it does not come to an end")

    # -- what must hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        assert not list(self.wrong())

    def wrong(self) -> Iterator[str]:
        state = self.world.dump()
        yield from violations(state, self.now)
        for name in ("c1", "c2", "cq.p"):
            held = set(state.get(f"permits:{name}", {}))
            runs = {key[4:] for key, one in state.items() if key.startswith("job:") and one["s"] == "running"}
            with_limit = {job for job in runs if name in state[f"job:{job}"].get("li", "").split()}
            most = QUEUE_CONCURRENCY if name == "cq.p" else CONCURRENCY
            if held != with_limit or len(held) > most:
                yield f"permits of {name}: {held}, but {with_limit} run, and {most} are allowed"

    def check_rates(self) -> None:
        for name, starts in self.starts.items():
            for index, (first, _) in enumerate(starts):
                taken = 0
                for at, cost in starts[index:]:
                    taken += cost
                    assert taken <= (at - first) / INTERVAL_MS + BURST + 1e-6, (name, starts)


@pytest.mark.parametrize("seed", range(12))
def test_a_history_of_limited_jobs_keeps_all_limits_and_comes_to_an_end(server: Server, seed: int) -> None:
    server.flush()
    world = World(server)
    try:
        history = History(world, seed)
        for _ in range(STEPS):
            history.step()
            history.check()
        history.drain()
        history.check_rates()
        left = {key.partition(":")[0] for key in world.dump()} & {"line", "called", "permits", "agenda", "expiring"}
        assert not left
        states = {one["s"] for key, one in world.dump().items() if key.startswith("job:")}
        assert states <= {"succeeded", "dead", "cancelled", "expired"}
    finally:
        world.close()
