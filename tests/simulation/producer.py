"""A simulated producer: it enqueues by the product's own operation, cancels, retries dead letters, pauses queues.

What a call answered is what the checker holds the server to: a job whose enqueue returned must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from simulation.ledger import Asked, Violation
from simulation.turns import Program, Step, of_operation
from simulation.world import QUEUES, TASKS, World
from tidemill import enqueueing
from tidemill.errors import QueueFull
from tidemill.options import Choices, Options
from tidemill.recurring import Recurring
from tidemill.schedule import Interval, MissedRuns
from tidemill.task import call
from tidemill.wire.scripts import EnqueueAnswer, Full, Hand, NewJob, NewJobs, Requeue

Steps = Generator[Step, Any, None]

RECURRING: Final = Recurring("report", TASKS[0], Interval(15_000), MissedRuns.RUN_ALL, b"\x92\x90\x80", QUEUES[0])
_UNIQUE: Final = ("x", "y")


class Producer:
    """`number` of actions, then it is done. Its process may be killed at any of them."""

    def __init__(self, world: World, name: str, number: int) -> None:
        self._world = world
        self._name = name
        self._number = number
        self._chance = world.chance

    def run(self) -> Program:
        actions: list[tuple[int, Callable[[], Steps]]] = [
            (10, self._enqueue),
            (2, self._enqueue_chunk),
            (2, self._enqueue_again),
            (4, self._cancel),
            (5, self._requeue),
            (1, self._pause),
            (1, self._limit),
            (1, self._shed),
            (1, self._watch),
            (1, self._declare),
        ]
        weights = [weight for weight, _ in actions]
        for _ in range(self._number):
            ((_, action),) = self._chance.choices(actions, weights)
            yield from action()
            yield None

    # -- enqueue ------------------------------------------------------------------------------------------------

    def _enqueue(self) -> Steps:
        asked = self._ask()
        yield from self._send(asked, self._choices(asked))

    def _ask(self) -> Asked:
        kinds = ("healthy", "fails", "broken", "poison")
        (kind,) = self._chance.choices(kinds, (11, 4, 2, 1))
        job_id = f"{self._name}-{len(self._world.ledger.jobs)}"
        return self._world.expect(Asked(job_id, kind, fails=self._chance.randrange(1, 3) if kind == "fails" else 0))

    def _choices(self, asked: Asked) -> Choices:
        chance = self._chance
        choices: Choices = {"job_id": asked.id, "queue": chance.choice(QUEUES), "priority": self._priority()}
        if chance.random() < 0.4:
            choices["delay"] = chance.choice((0.2, 1, 5, 20))
        if chance.random() < 0.25:
            choices["unique"] = chance.choice(_UNIQUE)
        if chance.random() < 0.15:
            choices["expires"] = chance.choice((0.5, 4, 30))
            asked.may_expire = True
        if chance.random() < 0.1:
            choices["result_ttl"] = 0
        return choices

    def _priority(self) -> Any:
        return self._chance.choice(("high", "normal", "normal", "low"))

    def _send(self, asked: Asked, choices: Choices) -> Steps:
        world, client = self._world, self._world.connection.mill.client
        task = TASKS[self._chance.random() < 0.15]
        options = Options().using(choices)
        if options.unique:
            digest = world.scripts.keys.digest(task, options.unique)
            if digest not in world.camera.digests:
                world.camera.digests.append(digest)
        was_made = asked.made
        try:
            job = yield from of_operation(enqueueing.one(enqueueing.Plan(client, task, options, [call()])))
        except QueueFull:
            self._refused([asked], was_made)
        else:
            self._accepted(asked, str(job.id))

    def _refused(self, jobs: list[Asked], was_made: bool) -> None:
        self._world.ledger.sometimes["queue full"] += 1
        if any(asked.made for asked in jobs) and not was_made:
            raise Violation(f"{jobs[0].id} was refused, and is there")

    def _accepted(self, asked: Asked, holder: str) -> None:
        if holder != asked.id:
            self._world.ledger.sometimes["unique key held"] += 1
            return
        asked.acked = True
        if not asked.made:
            raise Violation(f"the enqueue of {asked.id} returned, but it was never made")

    def _enqueue_chunk(self) -> Steps:
        """Several in one call, one of them twice."""
        jobs = [self._ask() for _ in range(3)]
        new = [NewJob(asked.id, "", b"\x92\x90\x80") for asked in (*jobs, jobs[0])]
        shared = NewJobs(
            self._chance.choice(QUEUES), TASKS[0], self._priority(), delay_ms=self._chance.choice((0, 700))
        )
        answer: EnqueueAnswer = yield self._world.scripts.enqueue(shared, new)
        if isinstance(answer, Full):
            self._refused(jobs, was_made=False)
            return
        for asked in jobs:
            self._accepted(asked, asked.id)
        if isinstance(answer, list) and answer[-1].code == "exists":
            self._world.ledger.sometimes["already there"] += 1

    def _enqueue_again(self) -> Steps:
        """Somebody else uses the same id."""
        known = [asked for asked in self._world.ledger.jobs.values() if asked.made and not asked.dropped]
        if known:
            asked = self._chance.choice(known)
            self._world.ledger.sometimes["already there"] += 1
            yield from self._send(asked, {"job_id": asked.id, "queue": self._chance.choice(QUEUES)})

    # -- steering -----------------------------------------------------------------------------------------------

    def _some(self) -> list[Asked]:
        """A few jobs that are known to be there."""
        known = [asked for asked in self._world.ledger.jobs.values() if asked.made]
        return self._chance.sample(known, min(2, len(known)))

    def _cancel(self) -> Steps:
        some = self._some()
        if some:
            for asked in some:
                asked.may_cancel = True
            yield self._world.scripts.cancel([asked.id for asked in some])

    def _requeue(self) -> Steps:
        dead = [job_id for job_id, fields in self._world.state.records.items() if fields.state == "dead"]
        if dead:
            asked = self._world.ledger.jobs[self._chance.choice(dead)]
            asked.kind = "healthy"  # its cause was mended
            self._world.ledger.sometimes["dead letter run again"] += 1
            yield self._world.scripts.requeue([Requeue(asked.id)], Hand("people"))

    def _pause(self) -> Steps:
        queue = self._chance.choice(QUEUES)
        yield self._world.scripts.configure(queue, {"paused": "1"})
        for _ in range(self._chance.randrange(4)):
            yield None
        yield self._world.scripts.configure(queue, {"paused": ""})

    def _limit(self) -> Steps:
        yield self._world.scripts.configure(self._chance.choice(QUEUES), {"limit": self._chance.choice(("3", "6", ""))})

    def _shed(self) -> Steps:
        """The queue is full, and a job gets in all the same."""
        queue, state = self._chance.choice(QUEUES), self._world.state
        held = len(state.wheel.get(queue, ())) + sum(ticket.queue == queue for ticket in state.tickets)
        yield self._world.scripts.configure(queue, {"limit": str(max(held, 1))})
        for _ in range(2):
            asked = self._ask()
            choices: Choices = {"job_id": asked.id, "queue": queue, "priority": self._priority(), "on_full": "shed"}
            yield from self._send(asked, choices)
        for _ in range(self._chance.randrange(4)):
            yield None
        yield self._world.scripts.configure(queue, {"limit": ""})

    def _watch(self) -> Steps:
        for asked in self._some():
            yield self._world.scripts.watch(asked.id, self._name)

    def _declare(self) -> Steps:
        next_ms = RECURRING.schedule.next_after_ms(self._world.clocks.now_ms)
        yield self._world.scripts.declare(RECURRING.name, RECURRING.pack(), next_ms)
