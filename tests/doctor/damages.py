"""Every kind of damage, made by hand on a real server, as a foreign hand or a lost write would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from servers import Server
from tidemill import Job, Tidemill
from tidemill.doctor import Kind
from tidemill.task import Task
from tidemill.wire.keys import GROUP

WORKER: Final = "w1"
QUEUE: Final = "default"
LIMIT: Final = f"cq.{QUEUE}"
DIGEST: Final = "0123456789abcdef0123456789abcdef"


class Scene:
    """An application with one task, and a worker that is only a name."""

    def __init__(self, mill: Tidemill, server: Server) -> None:
        self.mill = mill
        self.client = server.client
        self.link = mill.client.link
        self.scripts = mill.client.scripts
        self.keys = mill.client.scripts.keys
        self.stream = self.keys.ready(QUEUE, "normal")

        @mill.task(name="add")
        def add(a: int, b: int) -> int:
            return a + b

        self.add: Task[..., int] = add

    def enqueue(self, **options: Any) -> Job[int]:
        return self.add.using(**options).enqueue(1, 2)

    def register(self) -> None:
        self.link.run(self.scripts.register(WORKER, 60_000, [QUEUE], {}, {"pid": "1", "lease_ms": "60000"}))

    def take(self) -> Job[int]:
        """A job that the worker runs."""
        job = self.enqueue()
        self.register()
        takings = self.link.run(self.scripts.take(WORKER, [QUEUE], 1))
        assert takings is not None
        assert [taken.id for taken in takings.jobs] == [job.id]
        return job

    def deliver(self) -> Job[int]:
        """A job whose ticket was delivered to the worker, which has not taken it."""
        job = self.enqueue()
        self.register()
        self.read_again()
        return job

    def only_one_consumer(self) -> None:
        """A server from 7.2 on makes a consumer of a stream that is read in vain, an older one does not."""
        self.client.xgroup_delconsumer(self.keys.ready(QUEUE, "high"), GROUP, WORKER)

    def read_again(self) -> None:
        self.client.xreadgroup(GROUP, WORKER, {self.stream: ">"}, count=1)

    def entry(self) -> bytes:
        """Of the only ticket."""
        ((entry, _),) = self.client.xrange(self.stream)
        return bytes(entry)

    def forget_worker(self) -> None:
        self.client.delete(self.keys.workers, self.keys.worker(WORKER))

    def finished(self) -> Job[int]:
        job = self.take()
        self.link.run(self.scripts.complete(WORKER, QUEUE, "normal", [(job.id, self.entry().decode(), 1, b"\x03")]))
        return job

    def dead(self) -> Job[int]:
        job = self.take()
        error = b"\x83\xa4type\xa1E\xa7message\xa0\xa9traceback\xa0"
        self.link.run(self.scripts.bury(WORKER, QUEUE, "normal", [(job.id, self.entry().decode(), 1, error)]))
        return job


Make = Callable[[Scene], Job[int] | None]


@dataclass(frozen=True)
class Damage:
    """`make` returns the job that has to run to its end afterwards, if there is one. `left`: no repair mends it.

    `is_late`: what was done last at a consumer counts as long ago.
    """

    name: str
    make: Make
    kinds: tuple[Kind, ...]
    left: bool = False
    is_late: bool = False
    cleanup: Callable[[Scene], object] = field(default=lambda _: None)


def _lost_wheel(scene: Scene) -> Job[int]:
    job = scene.enqueue(delay=0.2)
    scene.client.delete(scene.keys.wheel(QUEUE))
    return job


def _crowd(scene: Scene) -> Job[int]:
    """A tenant's job that waits for its turn, behind the tickets of two that are over."""
    *before, job = [scene.enqueue(tenant="acme") for _ in range(3)]
    for one in before:
        one.cancel()
    return job


def _lost_turns(scene: Scene) -> Job[int]:
    job = _crowd(scene)
    scene.client.delete(scene.keys.turns(QUEUE, "normal"))
    return job


def _lost_tenant_line(scene: Scene) -> Job[int]:
    job = _crowd(scene)
    scene.client.delete(scene.keys.tenant_line(QUEUE, "normal", scene.keys.tenant("acme")))
    return job


def _lost_wheel_and_agenda(scene: Scene) -> Job[int]:
    scene.client.delete(scene.keys.agenda)
    return _lost_wheel(scene)


def _lost_streams(scene: Scene) -> Job[int]:
    job = scene.enqueue(priority="high")
    scene.client.delete(scene.keys.ready(QUEUE, "high"))
    return job


def _running_nowhere(scene: Scene) -> Job[int]:
    job = scene.take()
    scene.client.delete(scene.stream)
    scene.forget_worker()
    return job


def _not_among_dead(scene: Scene) -> None:
    scene.client.zrem(scene.keys.dead(QUEUE), scene.dead().id)


def _not_among_finished(scene: Scene) -> None:
    scene.client.zrem(scene.keys.done(QUEUE), scene.finished().id)


def _not_expiring(scene: Scene) -> Job[int]:
    job = scene.enqueue(expires=3600)
    scene.client.delete(scene.keys.expiring)
    return job


def _lock_missing(scene: Scene) -> Job[int]:
    job = scene.enqueue(unique="one")
    scene.client.delete(scene.keys.unique(scene.keys.digest("add", "one")))
    return job


def _misplaced(scene: Scene) -> Job[int]:
    job, keys = scene.enqueue(), scene.keys
    for place in (keys.wheel(QUEUE), keys.dead(QUEUE), keys.done(QUEUE), keys.expiring, keys.parked("add")):
        scene.client.zadd(place, {"gone": 4_000_000_000_000})
    for place in (keys.wheel(QUEUE), keys.dead(QUEUE), keys.done(QUEUE), keys.parked("add")):
        scene.client.zadd(place, {job.id: 4_000_000_000_000})
    scene.client.zadd(keys.agenda, {QUEUE: 4_000_000_000_000})
    return job


def _wrong_wheel(scene: Scene) -> Job[int]:
    job = scene.enqueue(delay=0.2)
    scene.client.rename(scene.keys.wheel(QUEUE), scene.keys.wheel("other"))
    scene.client.delete(scene.keys.agenda)
    return job


def _lock_without_job(scene: Scene) -> None:
    scene.client.set(scene.keys.unique(DIGEST), "gone")


def _deleted_consumer_of_a_ready_job(scene: Scene) -> Job[int]:
    job = scene.deliver()
    scene.client.xgroup_delconsumer(scene.stream, GROUP, WORKER)
    return job


def _deleted_consumer_of_a_dead_worker(scene: Scene) -> Job[int]:
    job = scene.take()
    scene.client.xgroup_delconsumer(scene.stream, GROUP, WORKER)
    scene.forget_worker()
    return job


def _group_moved_to_the_end(scene: Scene) -> Job[int]:
    scene.register()
    job = scene.enqueue()
    scene.client.xgroup_setid(scene.stream, GROUP, "$")
    return job


def _trimmed_stream(scene: Scene) -> Job[int]:
    job = scene.take()
    scene.client.xtrim(scene.stream, maxlen=0, approximate=False)
    scene.forget_worker()
    return job


def _trimmed_stream_of_undelivered(scene: Scene) -> Job[int]:
    job = scene.enqueue()
    scene.client.xtrim(scene.stream, maxlen=0, approximate=False)
    return job


def _lost_lease(scene: Scene) -> Job[int]:
    job = scene.take()
    scene.only_one_consumer()
    scene.forget_worker()
    return job


def _left_over_consumer(scene: Scene) -> None:
    scene.finished()
    scene.only_one_consumer()
    scene.forget_worker()


def _undescribed_worker(scene: Scene) -> None:
    scene.register()
    scene.client.delete(scene.keys.worker(WORKER))


def _immortal_description(scene: Scene) -> None:
    scene.client.hset(scene.keys.worker("w2"), "pid", "2")


def _unknown_queue(scene: Scene) -> Job[int]:
    job = scene.enqueue()
    scene.client.delete(scene.keys.queues)
    return job


def _waits_for_a_permit(scene: Scene) -> Job[int]:
    """In the line of its queue, whose only permit nobody holds."""
    scene.link.run(scene.scripts.configure(QUEUE, {"concurrency": "1"}))
    scene.client.zadd(scene.keys.permits(LIMIT), {"gone": 1})
    job = scene.enqueue()
    scene.register()
    takings = scene.link.run(scene.scripts.take(WORKER, [QUEUE], 1))
    assert takings is not None
    assert not takings.jobs
    return job


def _lost_line(scene: Scene) -> Job[int]:
    job = _waits_for_a_permit(scene)
    scene.client.delete(scene.keys.line(LIMIT), scene.keys.permits(LIMIT))
    return job


def _line_stopped(scene: Scene) -> Job[int]:
    job = _waits_for_a_permit(scene)
    scene.client.delete(scene.keys.permits(LIMIT))
    scene.client.zrem(scene.keys.agenda, f"line:{LIMIT}")
    return job


def _lost_agenda(scene: Scene) -> Job[int]:
    job = scene.enqueue(delay=0.2)
    scene.client.delete(scene.keys.agenda)
    return job


def _late_agenda(scene: Scene) -> Job[int]:
    job = scene.enqueue(delay=0.2)
    scene.client.zadd(scene.keys.agenda, {QUEUE: 4_000_000_000_000})
    return job


def _corrupt_record(scene: Scene) -> None:
    job = scene.enqueue()
    scene.client.hset(scene.keys.job(job.id), "s", "dancing")


def _foreign_record(scene: Scene) -> None:
    scene.client.set(scene.keys.job("mine"), "mine")


def _foreign_wheel(scene: Scene) -> None:
    scene.enqueue(delay=60)
    scene.client.set(scene.keys.wheel(QUEUE), "mine")


def _unknown_key(scene: Scene) -> None:
    scene.client.set(scene.keys.root + "mine", "mine")
    scene.client.set(scene.keys.ready("q", "urgent"), "mine")


DAMAGES: Final = [
    Damage("a wheel was deleted", _lost_wheel, (Kind.NOT_IN_WHEEL,)),
    Damage("a wheel and the agenda were deleted", _lost_wheel_and_agenda, (Kind.NOT_IN_WHEEL,)),
    Damage("a ready stream was deleted", _lost_streams, (Kind.READY_WITHOUT_TICKET,)),
    Damage("turns were deleted", _lost_turns, (Kind.LINE_WITHOUT_TURN, Kind.TURNS_MISCOUNTED)),
    Damage("a tenant's line was deleted", _lost_tenant_line, (Kind.READY_WITHOUT_TICKET, Kind.TURNS_MISCOUNTED)),
    Damage("a job runs nowhere", _running_nowhere, (Kind.RUNNING_WITHOUT_TICKET,)),
    Damage("a dead letter is not listed", _not_among_dead, (Kind.NOT_AMONG_DEAD,)),
    Damage("a finished job is not listed", _not_among_finished, (Kind.NOT_AMONG_FINISHED,)),
    Damage("the index of what expires was deleted", _not_expiring, (Kind.NOT_EXPIRING,)),
    Damage("a lock was deleted", _lock_missing, (Kind.LOCK_MISSING,)),
    Damage("places hold ids that do not belong there", _misplaced, (Kind.MISPLACED,) * 9),
    Damage(
        "a wheel has another queue's name",
        _wrong_wheel,
        (Kind.NOT_IN_WHEEL, Kind.MISPLACED, Kind.QUEUE_UNKNOWN, Kind.AGENDA_LATE),
    ),
    Damage("a lock was left behind", _lock_without_job, (Kind.LOCK_WITHOUT_JOB,)),
    Damage(
        "XGROUP DELCONSUMER of one that was given a ready job",
        _deleted_consumer_of_a_ready_job,
        (Kind.TICKET_OF_NOBODY, Kind.READY_WITHOUT_TICKET),
    ),
    Damage(
        "XGROUP DELCONSUMER of one that died",
        _deleted_consumer_of_a_dead_worker,
        (Kind.TICKET_OF_NOBODY, Kind.RUNNING_WITHOUT_TICKET),
    ),
    Damage("XGROUP SETID $", _group_moved_to_the_end, (Kind.TICKET_OF_NOBODY, Kind.READY_WITHOUT_TICKET)),
    Damage(
        "XTRIM of what was delivered to one that died",
        _trimmed_stream,
        (Kind.PENDING_WITHOUT_TICKET, Kind.RUNNING_WITHOUT_TICKET),
    ),
    Damage("XTRIM of what was not delivered", _trimmed_stream_of_undelivered, (Kind.READY_WITHOUT_TICKET,)),
    Damage("a lease was deleted", _lost_lease, (Kind.CONSUMER_WITHOUT_LEASE,), is_late=True),
    Damage("a consumer was left behind", _left_over_consumer, (Kind.CONSUMER_LEFT_OVER,), is_late=True),
    Damage("a worker's description was deleted", _undescribed_worker, (Kind.WORKER_NOT_DESCRIBED,)),
    Damage("a description does not end", _immortal_description, (Kind.WORKER_WITHOUT_LEASE,)),
    Damage("the list of queues was deleted", _unknown_queue, (Kind.QUEUE_UNKNOWN,)),
    Damage("a permit is held by nobody", _waits_for_a_permit, (Kind.MISPLACED,)),
    Damage("the line of a limit was deleted", _lost_line, (Kind.NOT_IN_LINE,)),
    Damage("nobody looks after the line of a limit", _line_stopped, (Kind.LINE_STOPPED,)),
    Damage("the agenda was deleted", _lost_agenda, (Kind.AGENDA_LATE,)),
    Damage("the agenda is late", _late_agenda, (Kind.AGENDA_LATE,)),
    Damage("a record has no state of ours", _corrupt_record, (Kind.CORRUPT_RECORD,), left=True),
    Damage("a record is no hash", _foreign_record, (Kind.CORRUPT_RECORD,), left=True),
    Damage(
        "a wheel is no sorted set",
        _foreign_wheel,
        (Kind.FOREIGN_TYPE,),
        left=True,
        cleanup=lambda scene: scene.client.delete(scene.keys.wheel(QUEUE)),
    ),
    Damage(
        "keys of another program",
        _unknown_key,
        (Kind.UNKNOWN_KEY, Kind.UNKNOWN_KEY),
        left=True,
        cleanup=lambda scene: scene.client.delete(scene.keys.root + "mine", scene.keys.ready("q", "urgent")),
    ),
]
