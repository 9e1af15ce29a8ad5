"""The workers of a simulated world: their starts, crashes and pauses, and the leases that they must not lose."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, Final

from simulation.actor import Actor
from simulation.turns import Once
from simulation.worker import Worker
from simulation.world import LEASE_MS, TASKS, World
from tidemill.errors import GroupMissing
from tidemill.wire.command import Command
from tidemill.wire.keys import GROUP
from tidemill_consumers.settings import SUSPECT_CRASHES

# How long a dead worker's blocking read may still be served.
_LAST_READ_MS: Final = 60_000


@dataclass
class Process:
    """One worker process. `is_doubtful`: under this name it once stood still so long that its lease may be over."""

    worker: Worker
    actors: list[Actor]
    paused_until_ms: int = 0
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class LastRead:
    """A blocking read of a dead worker, that the server may serve all the same."""

    incarnation: str
    streams: tuple[str, ...]
    until_ms: int


@dataclass
class Workers:
    world: World
    processes: list[Process] = field(default_factory=list[Process])
    last_reads: list[LastRead] = field(default_factory=list[LastRead])
    _started: int = 0

    def start(self) -> None:
        """Another worker; every second knows all tasks."""
        self._started += 1
        name = f"w{self._started}"
        worker = Worker(self.world, name, TASKS if self._started % 2 else TASKS[:1])
        actors = [Actor(self.world, f"{name}.{role}", one) for role, one in worker.programs().items()]
        self.processes.append(Process(worker, actors))
        self.world.note("driver", f"{name} starts")

    @property
    def moving(self) -> list[Process]:
        """Those that are not paused."""
        now_ms = self.world.clocks.monotonic_ms
        return [process for process in self.processes if process.paused_until_ms <= now_ms]

    def healthy(self) -> list[str]:
        """Incarnations that have renewed their lease whenever they could."""
        return [one.worker.incarnation for one in self.processes if one.worker.is_registered and not one.is_doubtful]

    def is_spared(self, process: Process) -> bool:
        """It runs a suspect that is innocent: more deaths would be blamed on that, and bury it in the end."""
        for job_id, fields in self.world.state.records.items():
            is_its = fields.state == "running" and fields.lease.startswith(f"{process.worker.name}.")
            if is_its and int(fields.crashes or 0) >= SUSPECT_CRASHES and self._is_innocent(job_id):
                return True
        return False

    def _is_innocent(self, job_id: str) -> bool:
        return self.world.ledger.jobs[job_id].kind != "poison"

    # -- life -------------------------------------------------------------------------------------------------------

    def crash(self, process: Process) -> None:
        """kill -9, or a power cut: then the server may not notice for a while that nobody reads any more."""
        self.world.note("driver", f"{process.worker.name} dies")
        self.world.ledger.sometimes["worker died"] += 1
        for actor in process.actors:
            if isinstance(actor.step, Once) and self.world.chance.random() < 0.5:
                self._note_last_read(actor.step.command)
            actor.kill()
        self.processes.remove(process)

    def _note_last_read(self, command: Command[object]) -> None:
        words = command.words
        if "BLOCK" in words:
            streams = tuple(str(word) for word in words[words.index("STREAMS") + 1 :] if word != ">")
            until_ms = self.world.clocks.monotonic_ms + _LAST_READ_MS
            self.last_reads.append(LastRead(str(words[3]), streams, until_ms))

    def serve_last_read(self) -> None:
        """The server serves a dead worker's read."""
        last = self.last_reads.pop(self.world.chance.randrange(len(self.last_reads)))
        keys = self.world.scripts.keys
        waiting = {keys.ready(one.queue, one.lane) for one in self.world.state.tickets if not one.holder}
        stream = next((key for key in last.streams if key in waiting), None)
        if stream is not None and self.world.clocks.monotonic_ms <= last.until_ms:
            self.world.ledger.sometimes["read served to a dead worker"] += 1
            words = ("XREADGROUP", "GROUP", GROUP, last.incarnation, "COUNT", 1, "STREAMS", stream, ">")
            with contextlib.suppress(GroupMissing):  # the server has answered it with that
                self.world.apply("a dead worker", Command(words, _entries))
            self.world.look()

    def forget_last_reads(self, stream: str) -> None:
        """Those that wait at this stream."""
        self.last_reads = [last for last in self.last_reads if stream not in last.streams]

    def pause(self, process: Process, for_ms: int) -> None:
        """It stands still: SIGSTOP, or a machine that sleeps."""
        self.world.note("driver", f"{process.worker.name} stands still for {for_ms} ms")
        process.paused_until_ms = self.world.clocks.monotonic_ms + for_ms
        if for_ms > LEASE_MS // 2:
            self.world.ledger.sometimes["paused past the lease"] += 1
            process.is_doubtful = True

    def bury_the_dead(self) -> None:
        """Drops those that have killed themselves, or have left; others take their place."""
        for process in list(self.processes):
            if process.worker.has_died:
                self.crash(process)
            elif process.worker.has_left:
                self.world.note("driver", f"{process.worker.name} has left")
                self.processes.remove(process)
                for actor in process.actors:
                    actor.kill()

    # -- leases -----------------------------------------------------------------------------------------------------

    def next_renewal_ms(self) -> int | None:
        """When the next of them renews, on the monotonic clock."""
        return min((one.worker.renew_at_ms for one in self.moving if one.worker.is_registered), default=None)

    def renew(self, *, may_lose: bool) -> None:
        """Those whose time has come renew their leases; a reply may be lost, and the next renewal is the repetition."""
        for process in self.moving:
            worker = process.worker
            if worker.is_registered and worker.renew_at_ms <= self.world.clocks.monotonic_ms:
                renewal = self.world.apply(worker.name, worker.renewal())
                if may_lose and self.world.chance.random() < 0.05:
                    continue
                if renewal is None:
                    self._succeed(worker)
                    process.is_doubtful = False
                else:
                    worker.renewed(renewal)

    def _succeed(self, worker: Worker) -> None:
        self.world.ledger.sometimes["lease lost"] += 1
        successor = worker.successor()
        self.world.apply(worker.name, worker.register(successor))
        worker.incarnation = successor


def _entries(reply: Any) -> int:
    """How many it was given: the entries themselves would differ from run to run."""
    return sum(len(entries) for _, entries in reply or ())
