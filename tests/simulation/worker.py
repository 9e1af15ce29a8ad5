"""A simulated worker: the protocol of the real one, each of its threads a program that takes turns.

`Runs` is the real one, so that the rule for suspects is the product's. A crash drops the process with all it knows; a
pause lets it stand still, and it goes on with its old fence.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from simulation.ledger import Violation
from simulation.turns import Once, Program, Step
from simulation.world import LEASE_MS, QUEUES, World
from tidemill.client import Batch
from tidemill.errors import GroupMissing, RemoteError, ServerUnavailable
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.command import Command
from tidemill.wire.scripts import Renewal, Taken, Takings, Ticket
from tidemill_consumers.intake import Attempt, attempt_of
from tidemill_consumers.lanes import Reserves
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Retried, Succeeded
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.settings import SUSPECT_CRASHES
from tidemill_consumers.settlement import command_for, grouped

_CONCURRENCY: Final = 3
_RENEW_MS: Final = LEASE_MS // 4
_MAX_TRIES: Final = 3
# How often a look of the reader finds that a suspect has waited for too long.
_LATE_SHARE: Final = 0.2
_PAGE: Final = 2
# As the reader's DEAF_SECONDS.
_DEAF_RENEWALS: Final = 3
_NO_BURIAL: Final = 1_000_000
_FAILED: Final = RemoteError("ValueError", "it failed")

Steps = Generator[Step, Any, Any]


class Worker:
    """One process, from its start to its crash or end. `has_died`: it is to be dropped by the driver."""

    def __init__(self, world: World, name: str, tasks: tuple[str, ...]) -> None:
        self.world = world
        self.name = name
        self.tasks = {task: Definition(task, lambda: None, QUEUES[0]) for task in tasks}
        self.incarnation = f"{name}.0"
        self.runs = Runs()
        self.is_registered = False
        self.is_stopping = False
        self.has_left = False
        self.has_died = False
        self._successors = 0
        self._names: dict[str, None] = {}  # under which it has read, and which are not handed on
        self._given: list[Run] = []
        self._held: dict[Attempt, Taken] = {}
        self._unsettled: dict[Attempt, None] = {}  # suspects that have run
        self._outcomes: list[tuple[Taken, Outcome]] = []
        self._paused: frozenset[str] = frozenset()
        self._reserves = Reserves()
        self._turn = 0
        self._held_before = 0
        self._in_vain = 0  # renewals in a row that told of tickets which never came
        self.renew_at_ms = 0

    def programs(self) -> dict[str, Program]:
        return {"reader": self._serve(), "executor": self._execute(), "settler": self._settle()}

    @property
    def is_idle(self) -> bool:
        return not self._held and not self._outcomes

    def holds(self, job_ids: set[str]) -> bool:
        """It has taken one of these jobs."""
        return any(taken.id in job_ids for taken in self._held.values())

    # -- heartbeat: the driver's clock calls it, since it has a thread that nothing can starve ------------------------

    def renewal(self) -> Command[Renewal | None]:
        running = [run.taken.id for run in self.runs.all()]
        self._held_before = len(self._held_jobs(self.incarnation))
        self.renew_at_ms = self.world.clocks.monotonic_ms + _RENEW_MS
        return self.world.scripts.renew(self.incarnation, LEASE_MS, QUEUES, running)

    def renewed(self, renewal: Renewal) -> None:
        self._paused = renewal.paused
        self._in_vain = self._in_vain + 1 if renewal.given > self._held_before else 0
        for run in self.runs.all():
            if run.taken.id in renewal.cancelled:
                run.stop(Interrupt.CANCEL)

    def register(self, incarnation: str) -> Command[int]:
        tasks = dict.fromkeys(self.tasks, QUEUES[0])
        return self.world.scripts.register(incarnation, LEASE_MS, QUEUES, tasks, {"lease_ms": str(LEASE_MS)})

    def successor(self) -> str:
        """The name under which it goes on after a lost lease."""
        self._successors += 1
        return f"{self.name}.{self._successors}"

    # -- reader -------------------------------------------------------------------------------------------------

    def _serve(self) -> Program:
        scripts, names = self.world.scripts, self._names
        yield self.register(self.incarnation)
        self.is_registered = True
        for task in self.tasks:
            while (yield scripts.adopt(task, _PAGE)) == _PAGE:
                pass
        while not self.is_stopping:
            incarnation = self.incarnation
            names[incarnation] = None
            for former in [name for name in names if name != incarnation]:
                yield from self._hand_on(former)
                del names[former]
            try:
                yield from self._read_on(incarnation)
            except GroupMissing:
                yield self.register(self.incarnation)
            except ServerUnavailable:
                pass
        yield from self._leave()

    def _read_on(self, incarnation: str) -> Steps:
        scripts = self.world.scripts
        # Of all queues, the paused ones too.
        found: list[Ticket] = yield Once(scripts.strays(incarnation, QUEUES, 100))
        tickets, more = self._not_held(incarnation, found), True
        while not self.is_stopping:
            if self.runs.has_impatient() and self.world.chance.random() < _LATE_SHARE:
                self._put_off(self.runs.withdraw_late(float("inf")))
            room, queues = _CONCURRENCY - len(self._held), self._open_queues()
            if room <= 0 or self.runs.is_isolating or not queues:
                yield None
                continue
            if not more:
                if self._in_vain >= _DEAF_RENEWALS:
                    self._in_vain = 0
                    self.world.ledger.sometimes["reader not heard"] += 1
                    return
                tickets = self._not_held(incarnation, (yield Once(scripts.listen(incarnation, queues, 1))))
                if not tickets:
                    yield None
                    continue
            if incarnation != self.incarnation:
                return
            asked = queues + tuple(sorted({one.queue for one in tickets}.difference(queues)))
            takings: Takings | None = yield Once(
                scripts.take(incarnation, asked, room, self._reserves.next(room), tickets)
            )
            if takings is None:
                yield from self._lease_lost(incarnation)
                return
            self._paused |= takings.paused
            yield from self._accept(takings.jobs)
            more, tickets = len(takings.jobs) >= room, []
            if takings.missing_groups:
                yield self.register(self.incarnation)

    def _held_jobs(self, incarnation: str) -> set[str]:
        return {taken.id for taken in self._held.values() if taken.incarnation == incarnation}

    def _not_held(self, incarnation: str, tickets: list[Ticket]) -> list[Ticket]:
        """By the job: a second ticket of one that runs must not start it again."""
        held = self._held_jobs(incarnation)
        return [one for one in tickets if one.job_id not in held]

    def _open_queues(self) -> tuple[str, ...]:
        found = tuple(queue for queue in QUEUES if queue not in self._paused)
        self._turn += 1
        return found if self._turn % 2 else found[::-1]

    def _lease_lost(self, incarnation: str) -> Steps:
        if incarnation == self.incarnation:
            successor = self.successor()
            yield self.register(successor)
            if incarnation == self.incarnation:
                self.incarnation = successor

    def _accept(self, jobs: list[Taken]) -> Steps:
        runs: list[Run] = []
        for taken in sorted(jobs, key=lambda taken: taken.lane):
            if taken.id in self._held_jobs(taken.incarnation):
                raise Violation(f"{taken.id} was given again to {taken.incarnation}, which holds it")
            self._held[attempt_of(taken)] = taken
            if self.is_stopping:
                self._outcomes.append((taken, Released()))
            elif taken.task not in self.tasks:
                self._outcomes.append((taken, Parked("unknown task", 2_000)))
            else:
                runs.append(Run(taken, self.tasks[taken.task], NO_RETRY, None))
        now, put_off = self.runs.add(runs)
        self._put_off(put_off)
        self._given += now
        yield None

    def _put_off(self, suspects: list[Run]) -> None:
        for run in suspects:
            self.world.ledger.sometimes["suspect put off"] += 1
            self._outcomes.append((run.taken, Parked("it waits for an idle worker", 1_000)))

    def _hand_on(self, incarnation: str) -> Steps:
        scripts = self.world.scripts
        if not (yield scripts.retire(incarnation, QUEUES)):
            return
        for queue in QUEUES:
            while (yield scripts.recover(incarnation, queue, _PAGE, _NO_BURIAL, b"")).moved >= _PAGE:
                pass
        yield scripts.retire(incarnation, QUEUES)

    def _leave(self) -> Steps:
        for run in [*self.runs.withdraw(), *self.runs.all()]:
            self._finish(run, Released())
        self._given.clear()
        while not self.is_idle:
            yield None
        self.is_registered = False  # the heartbeat ends before the name does
        for name in {**self._names, self.incarnation: None}:
            yield from self._hand_on(name)
        self.has_left = True

    # -- executor -----------------------------------------------------------------------------------------------

    def _execute(self) -> Program:
        chance = self.world.chance
        while True:
            yield None
            if self._given and not self.is_stopping:
                run = self._given.pop(chance.randrange(len(self._given)))
                self._check_suspects(run)
                if run.is_held:
                    yield self.world.scripts.hold(run.taken, waits=False)
                outcome = self._run(run)
                if outcome is None:
                    self.has_died = True
                else:
                    self._finish(run, outcome)

    def _check_suspects(self, run: Run) -> None:
        is_beside = self._given and any(one.taken.crashes >= SUSPECT_CRASHES for one in (run, *self._given))
        if is_beside or self._unsettled:
            raise Violation(f"{run.taken.id} runs beside others: one of them may be what kills workers")
        if run.taken.crashes >= SUSPECT_CRASHES:
            self._unsettled[attempt_of(run.taken)] = None

    def _run(self, run: Run) -> Outcome | None:
        """What comes of it; None: it kills its process."""
        taken, asked = run.taken, self.world.ledger.jobs[run.taken.id]
        if run.interrupt is Interrupt.CANCEL:
            return Cancelled()
        match asked.kind:
            case "poison":
                return None
            case "broken":
                return Retried(_FAILED, 500) if taken.tries < _MAX_TRIES else Dead(_FAILED)
            case _ if taken.tries <= asked.fails:
                return Retried(_FAILED, self.world.chance.choice((0, 300, 4_000)))
            case _:
                return Succeeded(b"")

    def _finish(self, run: Run, outcome: Outcome) -> None:
        if run.finish():
            self._outcomes.append((run.taken, outcome))
            if run.taken.crashes < SUSPECT_CRASHES:
                self._given += self.runs.remove(run.taken)

    # -- settler ------------------------------------------------------------------------------------------------

    def _settle(self) -> Program:
        while True:
            if not self._outcomes:
                yield None
                continue
            batch, self._outcomes = self._outcomes, []
            groups = grouped(batch)
            answers: list[list[int]] = yield Batch([command_for(self.world.scripts, group) for group in groups])
            for group, codes in zip(groups, answers, strict=True):
                for (taken, outcome), code in zip(group, codes, strict=True):
                    self._settled(taken, outcome, code)

    def _settled(self, taken: Taken, outcome: Outcome, code: int) -> None:
        self._held.pop(attempt_of(taken), None)
        if taken.crashes >= SUSPECT_CRASHES:  # it is alone until it is settled
            self._unsettled.pop(attempt_of(taken), None)
            self._given += self.runs.remove(taken)
        sometimes = self.world.ledger.sometimes
        if code == 0 and taken.incarnation != self.incarnation:
            sometimes["zombie refused"] += 1
        if code == 1 and isinstance(outcome, Cancelled):
            sometimes["cancelled while running"] += 1
