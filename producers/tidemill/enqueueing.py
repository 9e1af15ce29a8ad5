"""The operation behind every enqueue call: checks, encodes, sends, and reads the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from tidemill import settings, telemetry
from tidemill.errors import InvalidInput, JobExists, QueueFull
from tidemill.ids import new_id
from tidemill.job import Job, known_state
from tidemill.options import Options
from tidemill.wire.scripts import Enqueued, Full, NewJob, NewJobs

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

DEFAULT_QUEUE: Final = "default"


class Arguments(Protocol):
    """The arguments of one job."""

    @property
    def args(self) -> tuple[object, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be enqueued: calls of one task with the same options."""

    client: Client
    task: str
    options: Options
    calls: Sequence[Arguments]


def at(options: Options, due_ms: int) -> Options:
    """The options with an absolute due time."""
    return replace(options, due_ms=due_ms, delay_ms=0)


def one(plan: Plan) -> Operation[Job[Any]]:
    """Enqueues the plan's only call."""
    jobs = yield from many(plan)
    return jobs[0]


def many(plan: Plan) -> Operation[list[Job[Any]]]:
    """Enqueues all calls, chunk by chunk. Everything is checked and encoded before anything is sent."""
    new = _encode(plan)
    queue = plan.options.queue or (yield from queue_of(plan.client, plan.task))
    jobs: list[Job[Any]] = []
    for start in range(0, len(new), settings.ENQUEUE_CHUNK_JOBS):
        try:
            jobs += yield from _send(plan, queue, new[start : start + settings.ENQUEUE_CHUNK_JOBS])
        except QueueFull as error:
            error.enqueued = tuple(jobs)
            raise
    return jobs


def _encode(plan: Plan) -> list[NewJob]:
    options = plan.options
    if len(plan.calls) > 1 and (options.job_id or options.unique):
        raise InvalidInput("job_id and unique name one job: enqueue_many can't share them among several")
    unique = plan.client.scripts.keys.digest(plan.task, options.unique) if options.unique else ""
    encode = plan.client.codec.encode_call
    return [NewJob(options.job_id or new_id(), unique, encode(item.args, item.kwargs)) for item in plan.calls]


def queue_of(client: Client, task: str) -> Operation[str]:
    """A task that is known by name alone goes where its workers said that it belongs."""
    known = client.queues_by_task
    if task not in known:
        declared = yield client.scripts.task_queue(task)
        if not declared:
            return DEFAULT_QUEUE
        known[task] = declared
    return known[task]


def _send(plan: Plan, queue: str, new: list[NewJob]) -> Operation[list[Job[Any]]]:
    options = plan.options
    job_id = new[0].id if len(new) == 1 else None
    with telemetry.send(queue, plan.task, job_id=job_id, count=len(new)):
        shared = NewJobs(
            queue=queue,
            task=plan.task,
            priority=options.priority,
            due_ms=options.due_ms,
            delay_ms=options.delay_ms,
            expires_ms=options.expires_ms,
            result_ttl_ms=options.result_ttl_ms,
            options=options.carried,
            trace=telemetry.inject(),
        )
        answer: list[Enqueued] | Full = yield plan.client.scripts.enqueue(shared, new)
        if isinstance(answer, Full):
            raise QueueFull(
                f"queue {queue!r} is full: {answer.waiting} jobs are in it, its limit is {answer.limit}; "
                f"none of these {len(new)} was enqueued"
            )
    return [_job(plan, job, reply) for job, reply in zip(new, answer, strict=True)]


def _job(plan: Plan, new: NewJob, reply: Enqueued) -> Job[Any]:
    if reply.code != "conflict":
        return Job(plan.client, new.id, known_state(reply.state))
    if plan.options.on_conflict == "raise":
        raise JobExists(
            f"a job of {plan.task} with unique={plan.options.unique!r} is not over: "
            f"{reply.holder}, which is {reply.state}",
            job_id=reply.holder,
        )
    return Job(plan.client, reply.holder, known_state(reply.state))
