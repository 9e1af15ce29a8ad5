"""Drives the real scripts on a real server and the model side by side: one rule a script, in any order that hypothesis
finds, with zombies that settle what was taken from them and calls that are made twice."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from invariants import violations
from properties.model import DEFAULT_TTL, MAX_CRASHES, Job, Model
from script_state import NOW, World
from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.scripts import Hand, NewJob, NewJobs, Recovered, Requeue, Taken, Ticket

WORKERS = ("w1", "w2")
QUEUES = ("q", "r")
# Long, because the description of a worker ends by the server's own clock, which does not stand still.
LEASE = 1_000_000
ERROR = b"error"

workers = st.sampled_from(WORKERS)
queues = st.sampled_from(QUEUES)
delays = st.sampled_from((0, LEASE // 2, 2 * LEASE))
choices = st.integers(0, 1_000)
tenants = st.sampled_from(("", "", "a" * 16, "b" * 16))


class ScriptMachine(RuleBasedStateMachine):
    """Rules choose among what there is by a number, so that a shrunk history stays readable."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.replace({})
        self.model = Model(NOW)
        self.ids = 0
        self.attempts: list[Taken] = []  # all that were ever taken: a zombie may settle any of them
        self.read: dict[str, list[Ticket]] = {worker: [] for worker in WORKERS}

    def run(self, command: Any) -> Any:
        return self.world.run(command)

    def _any_id(self, choice: int) -> str:
        known = [f"j{number}" for number in range(self.ids)] or ["unknown"]
        return known[choice % len(known)]

    # -- the clock ----------------------------------------------------------------------------------------------

    @rule(by=st.sampled_from((1, LEASE // 2, LEASE + 1)))
    def time_passes(self, by: int) -> None:
        self.model.now += by

    # -- producers ----------------------------------------------------------------------------------------------

    @initialize(jobs=st.integers(0, 4), slots=st.integers(1, 4))
    def a_worker_comes_and_takes(self, jobs: int, slots: int) -> None:
        self.enqueue_some(jobs, "q", 0)
        self.come_and_take("w1", slots)

    @rule(jobs=st.integers(2, 5), queue=queues, delay=delays, tenant=tenants)
    def enqueue_some(self, jobs: int, queue: str, delay: int, tenant: str = "") -> None:
        for _ in range(jobs):
            self.enqueue(queue, "normal", delay, None, None, "", False, 0, tenant)

    @rule(
        queue=queues,
        priority=st.sampled_from(LANES),
        delay=st.sampled_from((0, 0, LEASE // 2, 2 * LEASE)),
        expires=st.sampled_from((None, None, LEASE // 3, 3 * LEASE)),
        ttl=st.sampled_from((None, None, 0)),
        unique=st.sampled_from(("", "", "", "u1", "u2")),
        again=st.booleans(),
        choice=choices,
        tenant=tenants,
    )
    def enqueue(
        self,
        queue: str,
        priority: str,
        delay: int,
        expires: int | None,
        ttl: int | None,
        unique: str,
        again: bool,
        choice: int,
        tenant: str = "",
    ) -> None:
        job_id = self._any_id(choice) if again and self.ids else f"j{self.ids}"
        self.ids += job_id == f"j{self.ids}"
        now = self.model.now
        job = Job(job_id, queue, "", now + delay, None if expires is None else now + expires, unique)
        job.ttl = DEFAULT_TTL if ttl is None else ttl
        shared = NewJobs(queue, "t", priority, delay_ms=delay, expires_ms=expires, result_ttl_ms=ttl, tenants=tenant)
        (answer,) = self.run(self.world.scripts.enqueue(shared, [NewJob(job_id, unique, b"body")], now))
        assert answer == self.model.enqueue(job)

    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        job_id = self._any_id(choice)
        (state,) = self.run(self.world.scripts.cancel([job_id], self.model.now))
        assert state == self.model.cancel(job_id)

    @rule(choice=choices)
    def requeue(self, choice: int) -> None:
        job_id = self._any_id(choice)
        assert self.run(self._requeue(job_id)) == [self.model.requeue(job_id)]

    def _requeue(self, job_id: str) -> Command[list[list[str]]]:
        return self.world.scripts.requeue([Requeue(job_id)], Hand("people"), self.model.now)

    @rule(choice=choices)
    def discard(self, choice: int) -> None:
        job_id = self._any_id(choice)
        queue = self.model.jobs[job_id].queue if job_id in self.model.jobs else QUEUES[0]
        answer = self.run(self.world.scripts.discard(queue, [(job_id, "")], Hand("people"), self.model.now))
        assert answer == [self.model.discard(job_id)]

    # -- workers ------------------------------------------------------------------------------------------------

    @rule(worker=workers)
    def register(self, worker: str) -> None:
        self.run(self.world.scripts.register(worker, LEASE, QUEUES, {"t": "q"}, {"pid": "1"}, self.model.now))
        self.model.leases[worker] = self.model.now + LEASE

    @rule(worker=workers)
    def renew(self, worker: str) -> None:
        running = [job.id for job in self.model.live() if (job.state, job.holder) == ("running", worker)]
        renewal = self.run(self.world.scripts.renew(worker, LEASE, QUEUES, running, self.model.now))
        if worker not in self.model.leases:
            assert renewal is None
            return
        self.model.leases[worker] = self.model.now + LEASE
        assert set(renewal.cancelled) == {job_id for job_id in running if self.model.jobs[job_id].cancelled}

    @precondition(lambda self: self.model.leases)
    @rule(worker=workers)
    def listen(self, worker: str) -> None:
        """A read that delivers tickets, and is not followed by a take: the worker may die in between."""
        self.read[worker] = self.run(self.world.scripts.strays(worker, QUEUES, 100))
        for queue in QUEUES:
            self.read[worker] += self.run(self.world.scripts.listen(worker, [queue], 1))

    @rule(worker=workers, slots=st.integers(1, 4), low=st.integers(0, 1))
    def take(self, worker: str, slots: int, low: int) -> None:
        tickets, self.read[worker] = self.read[worker], []
        mine = {attempt.id for attempt in self.attempts if attempt.incarnation == worker}
        tickets = [ticket for ticket in tickets if not (ticket.job_id in mine and self._runs(ticket.job_id, worker))]
        takings = self.run(self.world.scripts.take(worker, QUEUES, slots, (low, 0), tickets, now_ms=self.model.now))
        if worker not in self.model.leases:
            assert takings is None
            return
        assert len(takings.jobs) <= max(slots, len(tickets))
        for taken in takings.jobs:
            assert self.model.may_take(taken.id), f"{taken.id} is {self.model.jobs.get(taken.id)}"
            assert taken.attempt == self.model.taken(taken.id, worker)
            self.attempts.append(taken)
        self._look_what_ended_at_take()

    def _runs(self, job_id: str, worker: str) -> bool:
        job = self.model.jobs.get(job_id)
        return job is not None and (job.state, job.holder) == ("running", worker)

    def _look_what_ended_at_take(self) -> None:
        """Which tickets were read depends on their order: of those that may have ended, look which did."""
        for job in list(self.model.live()):
            if ends_as := self.model.may_end_at_take(job):
                seen = self.world.client.hget(self.world.keys.job(job.id), "s")
                if seen is None or seen.decode() == ends_as:
                    self.model.end(job.id, ends_as)

    @precondition(lambda self: self.attempts)
    @rule(
        verb=st.sampled_from(("complete", "complete", "retry", "park", "bury", "release", "abandon")),
        choice=choices,
        newest=st.booleans(),
        delay=delays,
        twice=st.booleans(),
    )
    def settle(self, verb: str, choice: int, newest: bool, delay: int, twice: bool) -> None:
        """By the one who holds it, by a zombie, or a second time since the first answer was lost."""
        count = len(self.attempts)
        taken = self.attempts[-1 - choice % min(3, count) if newest else choice % count]
        for _ in range(1 + twice):
            (code,) = self.run(self._settlement(verb, taken, delay))
            assert code == self.model.settle(verb, taken.id, taken.incarnation, taken.attempt, delay)

    def _settlement(self, verb: str, taken: Taken, delay: int) -> Any:
        rows = {
            "complete": (b"result",),
            "retry": (delay, ERROR),
            "park": (delay, "unknown task", "t"),
            "bury": (ERROR,),
        }
        row = (taken.id, taken.entry, taken.attempt, *rows.get(verb, ()))
        place = (taken.incarnation, taken.queue, LANES[taken.lane])
        if verb == "release":
            return self.world.scripts.release(*place, [(taken.id, taken.entry, taken.attempt)])
        return getattr(self.world.scripts, verb)(*place, [row], now_ms=self.model.now)

    @precondition(lambda self: self.attempts)
    @rule(choice=choices, waits=st.booleans())
    def hold(self, choice: int, waits: bool) -> None:
        taken = self.attempts[choice % len(self.attempts)]
        answer = self.run(self.world.scripts.hold(taken, waits=waits))
        assert answer == self.model.is_held_by(taken.id, taken.incarnation, taken.attempt)
        if answer:
            self.model.jobs[taken.id].held = waits

    @precondition(lambda self: self.attempts)
    @rule(choice=choices)
    def progress(self, choice: int) -> None:
        taken = self.attempts[choice % len(self.attempts)]
        answer = self.run(self.world.scripts.progress(taken.id, taken.incarnation, taken.attempt, b"half"))
        assert answer == self.model.is_held_by(taken.id, taken.incarnation, taken.attempt)

    @rule(worker=workers, if_over=st.booleans())
    def retire(self, worker: str, if_over: bool) -> None:
        remaining = self.run(self.world.scripts.retire(worker, QUEUES, if_over=if_over, now_ms=self.model.now))
        lives = self.model.leases.get(worker, 0) > self.model.now
        assert (remaining == -1) == (if_over and lives)
        if remaining > 0 and worker in self.model.leases:
            self.model.leases[worker] = min(self.model.leases[worker], self.model.now)
        elif remaining == 0:
            assert not any(self._runs(job.id, worker) for job in self.model.live()), "its jobs would be lost"
            self.model.leases.pop(worker, None)

    @rule(worker=workers)
    def end_lease(self, worker: str) -> None:
        known = self.run(self.world.scripts.end_lease(worker, "killed", self.model.now))
        assert known == (worker in self.model.leases)
        if known:
            self.model.leases[worker] = min(self.model.leases[worker], self.model.now)

    # -- schedulers ---------------------------------------------------------------------------------------------

    @rule(queue=queues)
    def promote(self, queue: str) -> None:
        answer = self.run(self.world.scripts.promote(queue, 1_000, 1_000, self.model.now))
        assert answer.jobs == self.model.promote(queue)

    @rule(worker=workers, queue=queues)
    def recover(self, worker: str, queue: str) -> None:
        answer = self.run(self.world.scripts.recover(worker, queue, 1_000, MAX_CRASHES, ERROR, self.model.now))
        expected = self.model.recover(worker, queue)
        if expected is None:
            assert answer == Recovered(-1, [], [])
        else:
            assert (set(answer.ready), set(answer.buried)) == expected

    @rule()
    def expire(self) -> None:
        _, expired = self.run(self.world.scripts.expire(1_000, self.model.now))
        assert expired == self.model.expire()

    @rule(place=st.sampled_from(("finished", "dead")))
    def sweep(self, place: str) -> None:
        assert self.run(self.world.scripts.sweep(place, QUEUES, 1_000, self.model.now)) == self.model.sweep(place)

    @rule()
    def adopt(self) -> None:
        self.run(self.world.scripts.adopt("t", 1_000, self.model.now))
        self.model.adopt()

    # -- what often comes together ------------------------------------------------------------------------------

    @rule(worker=workers, slots=st.integers(1, 4))
    def come_and_take(self, worker: str, slots: int) -> None:
        self.register(worker)
        self.take(worker, slots, 0)

    @rule(worker=workers)
    def die(self, worker: str) -> None:
        """The process is gone, with what it had read, and its lease is over."""
        self.read[worker] = []
        self.end_lease(worker)
        for queue in QUEUES:
            self.recover(worker, queue)
        self.retire(worker, if_over=True)

    @rule(queue=queues, worker=workers)
    def crash_again_and_again(self, queue: str, worker: str) -> None:
        """A job that kills its workers: in the end it is buried."""
        self.enqueue(queue, "high", 0, None, None, "", False, 0)
        for _ in range(MAX_CRASHES + 1):
            self.come_and_take(worker, 1)
            self._start(worker)
            self.die(worker)

    def _start(self, worker: str) -> None:
        for number, taken in enumerate(self.attempts):
            if self.model.is_held_by(taken.id, worker, taken.attempt):
                self.hold(number, False)

    @precondition(lambda self: self.attempts)
    @rule(verb=st.sampled_from(("complete", "retry", "bury", "release")), choice=choices)
    def settle_what_was_taken_again(self, verb: str, choice: int) -> None:
        """A worker that has lost a job and taken it again settles the first attempt."""
        before = self.attempts[choice % len(self.attempts)]
        self.settle("release", self.attempts.index(before), False, 0, False)
        self.come_and_take(before.incarnation, 4)
        self.settle(verb, self.attempts.index(before), False, 0, True)

    # -- what must be true --------------------------------------------------------------------------------------

    @invariant()
    def the_server_holds_what_the_model_holds(self) -> None:
        state = self.world.dump()
        assert not violations(state, self.model.now)
        records = {key.removeprefix("job:"): value for key, value in state.items() if key.startswith("job:")}
        assert set(records) == set(self.model.jobs)
        for job in self.model.jobs.values():
            record = records[job.id]
            seen = (record["s"], record["q"], record.get("l", ""), int(record.get("a", 0)), int(record.get("k", 0)))
            assert seen == (job.state, job.queue, job.holder, job.attempt, job.crashes)
            if job.state == "scheduled":
                assert state[f"wheel:{job.queue}"][job.id] == job.due
        assert {worker: int(end) for worker, end in state.get("workers", {}).items()} == self.model.leases

    def teardown(self) -> None:
        """Whatever has happened: when the workers are dead and time has passed, every job comes to its end."""
        self.model.now += 3_600_000 * 2
        for worker in WORKERS:
            for queue in QUEUES:
                self.recover(worker, queue)
            self.retire(worker, if_over=True)
            assert worker not in self.model.leases
        self.expire()
        for queue in QUEUES:
            self.promote(queue)
        self._work_off("w3")
        assert not list(self.model.live())
        self.the_server_holds_what_the_model_holds()
        self.retire("w3", if_over=False)
        self.model.now += 32 * 86_400_000
        for place in ("finished", "dead"):
            self.sweep(place)
        left = {key for key in self.world.dump() if key.partition(":")[0] not in _LIVES_ON}
        assert not left, f"what nobody will remove: {left}"

    def _work_off(self, worker: str) -> None:
        self.register(worker)
        self.read[worker] = []
        for _ in range(10 + 2 * self.ids):
            self.take(worker, 4, 0)
            for taken in self.attempts:
                if taken.incarnation == worker and self._runs(taken.id, worker):
                    (code,) = self.run(self._settlement("complete", taken, 0))
                    assert code == self.model.settle("complete", taken.id, worker, taken.attempt)


# Keys that live with the installation, or end by their own time or count.
_LIVES_ON = {"departed", "queues", "queue", "tasks", "events", "audit", "ready", "worker", "agenda"}
