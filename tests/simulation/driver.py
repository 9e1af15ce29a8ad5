"""Runs a world by its seed: who moves next, what gets lost, who dies, and how time passes; then it heals, and drains.

python -m simulation --seed 7        (with tests/ on the path)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from simulation import leftovers, scheduler
from simulation.actor import Actor, Fate, Lot
from simulation.ledger import Ledger, Violation
from simulation.producer import RECURRING, Producer
from simulation.profile import Profile
from simulation.workers import Workers
from simulation.world import KEPT, LEASE_MS, QUEUES, TASKS, Connection, World
from tidemill import settings
from tidemill.wire.command import Command
from tidemill.wire.keys import GROUP

_STEPS: Final = 150
# How many turns an actor makes before another one moves.
_STRIDES: Final = (1, 1, 1, 2, 4, 12)
_ROUND_TURNS: Final = 40
_PRODUCERS: Final = 2
_SCHEDULERS: Final = 2
_WORKERS: Final = 3
# A pause that costs a lease.
_LONG_MS: Final = 3 * LEASE_MS // 2
# Rounds of everybody's turns after the last fault, each a quarter of a lease long, in which all must be over.
_DRAIN_ROUNDS: Final = 120
_ROUND_MS: Final = LEASE_MS // 4


class Driver:
    """One world."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self.chance = random.Random(seed)
        self.profile = Profile.of(self.chance)
        self.world = World(connection, self.chance)
        self.workers = Workers(self.world)
        self.world.healthy = self.workers.healthy
        self.producers = [self._producer(f"p{number}") for number in range(_PRODUCERS)]
        self.schedulers = [self._scheduler(f"s{number}") for number in range(_SCHEDULERS)]
        self._schedulers_started = _SCHEDULERS

    def _producer(self, name: str) -> Actor:
        return Actor(self.world, name, Producer(self.world, name, self.chance.randrange(4, 10)).run())

    def _scheduler(self, name: str) -> Actor:
        return Actor(self.world, name, scheduler.program(self.world))

    def run(self) -> Ledger:
        """Raises Violation."""
        try:
            for _ in range(_WORKERS):
                self.workers.start()
            for _ in range(_STEPS):
                self._step()
            self._heal()
            return self.world.ledger
        finally:
            for actor in self._actors(everybody=True):
                actor.kill()

    def _actors(self, *, everybody: bool = False) -> list[Actor]:
        found = [*self.producers, *self.schedulers]
        for process in self.workers.processes if everybody else self.workers.moving:
            found += process.actors
        return [actor for actor in found if not actor.is_over]

    # -- steps with faults ------------------------------------------------------------------------------------------

    def _step(self) -> None:
        drawn = self.chance.random()
        if drawn < self.profile.faults:
            self._fault()
        elif drawn < self.profile.faults + 0.15:
            self._pass_time(self.chance.choice((1, 20, 300, 2_000, 6_000, 12_000)))
        else:
            self._move(self.chance.choice(self._actors()), self.chance.choice(_STRIDES))

    def _move(self, actor: Actor, turns: int) -> None:
        """So many turns, or until it rests."""
        for _ in range(turns):
            actor.turn(self._lot())
            if actor.is_over or actor.step is None:
                break
        self.workers.bury_the_dead()

    def _lot(self) -> Lot:
        if self.chance.random() >= self.profile.losses:
            return Lot()
        return Lot(self.chance.choice((Fate.REQUEST_LOST, Fate.REPLY_LOST)), self.chance.random())

    def _pass_time(self, for_ms: int) -> None:
        """Time passes for all, and who lives renews its lease meanwhile."""
        clocks = self.world.clocks
        until_ms = clocks.monotonic_ms + for_ms
        while True:
            self.workers.renew(may_lose=self.profile.losses > 0)
            next_ms = min(until_ms, self.workers.next_renewal_ms() or until_ms)
            if next_ms <= clocks.monotonic_ms:
                return
            clocks.advance(next_ms - clocks.monotonic_ms)

    def _fault(self) -> None:
        faults: list[tuple[int, Callable[[], None]]] = [
            (6, self._crash_worker),
            (2, self._crash_scheduler),
            (1, self._crash_producer),
            (6, self._pause_worker),
            (2, self._stop_worker),
            (4, self._start_worker),
            (2, self._jump_clock),
            (2, self._restart_server),
            (1, self._flush_scripts),
            (1, self._destroy_group),
            (2, self._damage_record),
            (3, self._serve_last_read),
        ]
        ((_, fault),) = self.chance.choices(faults, [weight for weight, _ in faults])
        fault()

    def _crash_worker(self) -> None:
        for process in self.chance.sample(self.workers.processes, min(1, len(self.workers.processes))):
            if not self.workers.is_spared(process):
                self.workers.crash(process)

    def _start_worker(self) -> None:
        if len(self.workers.processes) < _WORKERS:
            self.workers.start()

    def _pause_worker(self) -> None:
        moving = self.workers.moving
        busy = [process for process in moving if not process.worker.is_idle] or moving
        for process in self.chance.sample(busy, min(1, len(busy))):
            if not self.workers.is_spared(process):
                self.workers.pause(process, self.chance.choice((LEASE_MS // 3, _LONG_MS, _LONG_MS)))
                if self.chance.random() < 0.5:
                    self._let_others_notice()

    def _let_others_notice(self) -> None:
        """Time for a worker's jobs to be given to others, before it goes on with what it holds."""
        for for_ms in (_LONG_MS - 2_000, 2_000):
            self._pass_time(for_ms)
            for actor in self.schedulers:
                self._move(actor, _ROUND_TURNS)

    def _stop_worker(self) -> None:
        for process in self.chance.sample(self.workers.processes, min(1, len(self.workers.processes))):
            process.worker.is_stopping = True
            self.world.note("driver", f"{process.worker.name} is to stop")

    def _crash_scheduler(self) -> None:
        place = self.chance.randrange(len(self.schedulers))
        self.schedulers[place].kill()
        self.world.note("driver", f"{self.schedulers[place].name} dies, another starts")
        self.schedulers[place] = self._scheduler(f"s{self._schedulers_started}")
        self._schedulers_started += 1

    def _crash_producer(self) -> None:
        place = self.chance.randrange(len(self.producers))
        self.producers[place].kill()
        self.world.note("driver", f"{self.producers[place].name} dies, another starts")
        self.producers[place] = self._producer(f"{self.producers[place].name}b")

    def _jump_clock(self) -> None:
        by_ms = self.chance.choice((-20_000, -3_000, 15_000, 60_000))
        self.world.clocks.jump(by_ms)
        self.world.note("driver", f"the server's clock jumps by {by_ms} ms")
        self.world.ledger.sometimes["clock jumped"] += 1

    def _restart_server(self) -> None:
        """It is away, and nobody can renew a lease; its data are kept, its scripts are not."""
        self.world.clocks.advance(self.chance.choice((LEASE_MS // 2, 2 * LEASE_MS)))
        self.world.clocks.server_started_ms = self.world.clocks.monotonic_ms
        self._flush_scripts()
        self.world.note("driver", "the server has restarted")
        self.world.ledger.sometimes["server restarted"] += 1

    def _flush_scripts(self) -> None:
        self.world.flush_scripts()
        self.world.note("driver", "the server has forgotten its scripts")

    def _destroy_group(self) -> None:
        """A foreign hand destroys the group of a stream: what was pending with it is delivered again."""
        state, keys = self.world.state, self.world.scripts.keys
        places = sorted({(one.queue, one.lane) for one in state.tickets if one.holder})
        if not places:
            return
        queue, lane = self.chance.choice(places)
        for job_id, one in state.records.items():
            if (one.state, one.queue, one.lane) == ("running", queue, lane):
                self.world.ledger.jobs[job_id].astray = True
        self.world.apply("driver", Command(("XGROUP", "DESTROY", keys.ready(queue, lane), GROUP), int))
        self.workers.forget_last_reads(keys.ready(queue, lane))  # the server has answered them with an error
        self.world.ledger.sometimes["group destroyed"] += 1
        self.world.look()

    def _damage_record(self) -> None:
        """A foreign hand writes to the record of a job that waits; the job is to be buried, and nobody else harmed."""
        records = self.world.state.records
        waiting = [
            job_id
            for job_id, one in records.items()
            if one.state in ("scheduled", "ready") and one.unique and not one.parked
        ]
        if waiting:
            job_id = self.chance.choice(waiting)
            self.world.ledger.jobs[job_id].damaged = True
            self.world.ledger.sometimes["record damaged"] += 1
            self.world.apply("driver", Command(("HSET", self.world.scripts.keys.job(job_id), "s", "weird"), int))
            self.world.look()

    def _serve_last_read(self) -> None:
        if self.workers.last_reads:
            self.workers.serve_last_read()

    # -- the end ----------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """No more faults: everything must come to its end, and nothing must be left."""
        self.world.note("driver", "no more faults")
        self.profile = Profile(0.0, 0.0)
        self.workers.last_reads.clear()
        for actor in self.producers:
            actor.kill()
        for process in self.workers.processes:
            process.paused_until_ms = 0
        for queue in QUEUES:
            self.world.apply("driver", self.world.scripts.configure(queue, {"paused": "", "limit": ""}))
        self.world.apply("driver", self.world.scripts.undeclare(RECURRING.name))
        self._drain()
        self._leave()
        self._forget()

    def _drain(self) -> None:
        for _ in range(_DRAIN_ROUNDS):
            if self._is_drained():
                return
            while not any(len(process.worker.tasks) == len(TASKS) for process in self.workers.processes):
                self.workers.start()
            self._round()
        left = [f"{job_id} is {one.state}" for job_id, one in self.world.state.records.items() if _waits(one.state)]
        raise Violation(f"not over after {_DRAIN_ROUNDS} rounds: {left or self.world.state.tickets}")

    def _is_drained(self) -> bool:
        return not self.world.state.tickets and not any(_waits(one.state) for one in self.world.state.records.values())

    def _round(self) -> None:
        for _ in range(2):
            actors = self._actors()
            self.chance.shuffle(actors)
            for actor in actors:
                if not actor.is_over:
                    self._move(actor, _ROUND_TURNS)
        self._pass_time(_ROUND_MS)

    def _leave(self) -> None:
        """The workers stop."""
        for process in self.workers.processes:
            process.worker.is_stopping = True
        for _ in range(_DRAIN_ROUNDS):
            self._round()
            if not self.workers.processes and not self.world.state.workers:
                return
        raise Violation(f"after all workers have left: {self.world.state.workers}")

    def _forget(self) -> None:
        """Retention drops every record, and what is left is what lives with the installation."""
        for asked in self.world.ledger.jobs.values():
            if asked.acked and not asked.ended:
                raise Violation(f"{asked.id} was enqueued, and never came to an end")
        self.world.clocks.advance(KEPT.ttl_ms + settings.DEAD_TTL_MS + 1)
        for _ in range(_DRAIN_ROUNDS):
            if not self.world.state.records and not self._departed():
                break
            for actor in self.schedulers:
                self._move(actor, _ROUND_TURNS)
        leftovers.check(self.world)

    def _departed(self) -> int:
        return self.world.apply("driver", Command(("ZCARD", self.world.scripts.keys.departed), int))


def _waits(state: str) -> bool:
    return state in ("scheduled", "ready", "running") or state == "weird"
