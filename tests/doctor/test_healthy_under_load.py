"""A busy system that is healthy is never said to be damaged, and a repair that goes on all the time harms nobody."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from tidemill import JobNotFound, Retry, Tidemill, TidemillError, call
from tidemill.doctor import Finding, settings
from tidemill.ids import new_id
from tidemill_consumers.settings import WorkerSettings

QUEUES = ("default", "other")
# A busy system goes through every state many times in this time.
LOAD_SECONDS = 6.0
# However slow the machine is.
LEAST_JOBS = 500
# Between two calls of the producer: what it makes is kept, and the doctor looks at all of it each time.
PAUSE_SECONDS = 0.02


class Load:
    """Producers, people who cancel, pause and requeue, and workers that die; `ran` counts what must run once."""

    def __init__(self, mill: Tidemill) -> None:
        self.mill = mill
        self.link = mill.client.link
        self.scripts = mill.client.scripts
        self.ran: Counter[str] = Counter()
        self.sent: list[str] = []
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

        @mill.task(name="once")
        def once(key: str) -> None:
            with self._lock:
                self.ran[key] += 1

        @mill.task(name="flaky", retry=Retry(max_attempts=2, base=0.01), queue="other")
        def flaky(fails: int) -> None:
            with self._lock:
                self.ran["flaky"] += 1
                if self.ran["flaky"] % fails:
                    raise ValueError("again")

        self._once, self._flaky = once, flaky

    def _produce(self, dice: random.Random) -> None:
        options: dict[str, Any] = dice.choice(
            [
                {},
                {"delay": dice.random() / 5},
                {"priority": "high", "queue": "other"},
                {"priority": "low", "result_ttl": 0},
                {"expires": 3600, "delay": 0.01},
                {"unique": str(dice.randrange(5)), "on_conflict": "return"},
            ]
        )
        keys = [new_id() for _ in range(dice.randrange(1, 40))]
        if "unique" in options:
            self._flaky.using(**options).enqueue(3)
        else:
            self._once.using(**options).enqueue_many([call(key) for key in keys])
            self.sent += keys
        self._stop.wait(PAUSE_SECONDS)

    def _interfere(self, dice: random.Random) -> None:
        queue = dice.choice(QUEUES)
        match dice.randrange(5):
            case 0:
                self.mill.inspect.pause(queue)
                self.mill.inspect.resume(queue)
            case 1:
                unknown = self.mill.named("unknown").using(queue=queue).enqueue()
                eventually(lambda: unknown.refresh().state != "running", "it is parked")
                unknown.cancel()
            case 2:
                self._flaky.using(expires=0.02, delay=0.01, result_ttl=0).enqueue(2)
            case 3:
                cancelled = self._flaky.using(delay=dice.choice([0, 0.05]), result_ttl=0).enqueue(2)
                with contextlib.suppress(JobNotFound):
                    cancelled.cancel()
            case _:
                for dead in self.mill.inspect.jobs("other", "dead", limit=3):
                    with contextlib.suppress(TidemillError):
                        dead.retry()
                self.mill.dead_letters.retry_all(queue="other", text="again", limit=dice.randrange(1, 5))
                self.mill.dead_letters.purge(queue="other", task="flaky", before=timedelta(seconds=dice.random()))

    def _die(self, dice: random.Random) -> None:
        """A worker takes jobs, falls silent for longer than its lease, and wants to settle them."""
        name, queue = new_id(), dice.choice(QUEUES)
        self.link.run(self.scripts.register(name, 100, [queue], {}, {"lease_ms": "100"}))
        if dice.random() < 0.3:
            self.link.run(self.scripts.listen(name, [queue], 10))
        takings = self.link.run(self.scripts.take(name, [queue], 5))
        eventually(lambda: not self._is_known(name), "it was recovered", 60)
        for taken in takings.jobs if takings else ():
            job = (taken.id, taken.entry, taken.attempt, b"")
            assert self.link.run(self.scripts.complete(name, queue, "normal", [job])) == [0], "it is fenced"
        assert self.link.run(self.scripts.take(name, [queue], 5)) is None

    def _is_known(self, incarnation: str) -> bool:
        return any(name == incarnation for name, _ in self.link.run(self.scripts.workers()))

    def _repeat(self, act: Callable[[random.Random], None], seed: int) -> None:
        dice = random.Random(seed)
        try:
            while not self._stop.is_set():
                act(dice)
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self.failures.append(error)

    @contextlib.contextmanager
    def running(self) -> Generator[None]:
        acts = [self._produce, self._interfere, self._die, self._die]
        threads = [threading.Thread(target=self._repeat, args=(act, seed)) for seed, act in enumerate(acts)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(90)
        assert not self.failures, self.failures

    def is_over(self) -> bool:
        return not any(queue.scheduled or queue.waiting or queue.running for queue in self.mill.inspect.queues())

    def buried(self) -> set[str]:
        """Jobs that dying workers have taken too often."""
        dead = [job for queue in QUEUES for job in self.mill.inspect.jobs(queue, "dead", limit=10_000)]
        return {str(self.mill.codec.decode_call(job.record.body)[0][0]) for job in dead if job.task == "once"}


@pytest.mark.timeout(360)
@pytest.mark.interrupts
@pytest.mark.parametrize("repair", [False, True], ids=["looking", "repairing"])
def test_nothing_is_found_while_everything_works_and_each_job_runs_once(
    mill: Tidemill, repair: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MOVED_ON_MS", 100)  # a worker deals with a ticket before it reads again
    monkeypatch.setattr(settings, "CHECK_PAGE", 20)
    monkeypatch.setattr(settings, "MAX_WITHOUT_TICKET", 50)
    load = Load(mill)
    workers = WorkerSettings(concurrency=8, lease_ms=30_000)
    found: list[Finding] = []
    looks = 0
    with running_scheduler(mill), running_scheduler(mill), running_worker(mill, workers), running_worker(mill, workers):
        with load.running():
            until = time.monotonic() + LOAD_SECONDS
            while time.monotonic() < until or looks < 5 or len(load.sent) <= LEAST_JOBS:
                report = mill.doctor(repair=repair)
                found += report.findings
                looks += 1
        eventually(load.is_over, "all jobs are over", 90)
    assert found == []
    assert mill.doctor().findings == ()
    buried = load.buried()
    times = Counter(load.ran[key] for key in load.sent if key not in buried)
    assert set(times) == {1}, times
