"""The operation behind every enqueue call: checks, encodes, sends, and reads the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from tidemill import admission, durability, settings, telemetry, tenants
from tidemill.client import Sleep
from tidemill.durability import Admitted
from tidemill.errors import (
    EnqueueUnknown,
    InvalidInput,
    JobExists,
    QueueFull,
    ServerUnavailable,
    ServerUnsuitable,
    TidemillError,
)
from tidemill.ids import new_id, new_ids
from tidemill.job import Job, JobState, known_state
from tidemill.limits import Limits
from tidemill.options import Options
from tidemill.tenants import Arguments, TenantOf
from tidemill.wire.scripts import Enqueued, Full, Fullness, NewJob, NewJobs, WhenFull
from tidemill.wire.signing import Signable, Signing

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

DEFAULT_QUEUE: Final = "default"


@dataclass(slots=True)  # not frozen: it is made for every call, and a frozen one takes twice as long to make
class Plan:
    """What is to be enqueued: calls of one task with the same options. `limited`: by what, by job or for all."""

    client: Client
    task: str
    options: Options
    calls: Sequence[Arguments]
    limits: Limits | None = None
    limited: str | dict[str, str] = ""
    tenant_of: TenantOf | None = None
    digests: str | Mapping[str, str] = ""  # of the tenants, once the jobs have ids


def at(options: Options, due_ms: int) -> Options:
    """The options with an absolute due time."""
    return replace(options, due_ms=due_ms, delay_ms=0)


def one(plan: Plan) -> Operation[Job[Any]]:
    """Enqueues the plan's only call."""
    jobs = yield from many(plan)
    return jobs[0]


def many(plan: Plan, *, partial: bool = False) -> Operation[list[Job[Any]]]:
    """Enqueues all calls, chunk by chunk. Everything is checked and encoded before anything is sent.

    partial: of the chunk that has no room as a whole, what has room gets in.
    """
    return send(plan, _encode(plan), partial=partial)


def send(plan: Plan, new: list[NewJob], *, partial: bool = False) -> Operation[list[Job[Any]]]:
    """Enqueues the jobs that were made of the plan's calls, chunk by chunk."""
    plan.digests = tenants.digests(plan.options.tenant, plan.tenant_of, plan.calls, new)
    queue = plan.options.queue or (yield from queue_of(plan.client, plan.task))
    if plan.client.signing is not None:
        new = _signed(plan.client.signing, plan, queue, new)
    when_full = _when_full(plan.options.on_full, partial=partial)
    jobs: list[Job[Any]] = []
    for start in range(0, len(new), settings.ENQUEUE_CHUNK_JOBS):
        try:
            jobs += yield from _send(plan, queue, new[start : start + settings.ENQUEUE_CHUNK_JOBS], when_full)
        except (QueueFull, ServerUnavailable, ServerUnsuitable) as error:
            error.enqueued = (*jobs, *error.enqueued)
            raise
    return jobs


def _encode(plan: Plan) -> list[NewJob]:
    ids = ids_of(plan.options.job_id, plan.options.unique, len(plan.calls))
    encode = plan.client.codec.encode_call
    return jobs_of(plan, ids, [encode(item.args, item.kwargs) for item in plan.calls])


def ids_of(job_id: str | None, unique: str | None, count: int) -> list[str]:
    """The ids of as many jobs. Raises InvalidInput if several would have to share what names one."""
    if count == 1:
        return [job_id or new_id()]
    if count > 1 and (job_id or unique):
        raise InvalidInput("job_id and unique name one job: enqueue_many can't share them among several")
    return new_ids(count)


def jobs_of(plan: Plan, ids: list[str], bodies: list[bytes]) -> list[NewJob]:
    """The jobs of the plan's calls, with their limits. Raises InvalidInput for a key or a cost that is none."""
    options = plan.options
    unique = plan.client.scripts.keys.digest(plan.task, options.unique) if options.unique else ""
    if plan.limits is not None:
        plan.limited = plan.limits.of_jobs(ids, plan.calls)
    return list(map(NewJob, ids, repeat(unique), bodies))


def _signed(signing: Signing, plan: Plan, queue: str, new: list[NewJob]) -> list[NewJob]:
    options = plan.options
    return [
        job._replace(
            body=signing.sign(Signable(queue, plan.task, job.id, options.carried), job.body, options.expires_ms)
        )
        for job in new
    ]


def queue_of(client: Client, task: str) -> Operation[str]:
    """A task that is known by name alone goes where its workers said that it belongs."""
    known = client.queues_by_task
    if task not in known:
        try:
            declared = yield client.scripts.task_queue(task)
        except TidemillError as error:
            error.may_be_applied = False  # it was but a question: the enqueue itself was not sent
            raise
        if not declared:
            return DEFAULT_QUEUE
        known[task] = declared
    return known[task]


def _when_full(on_full: str, *, partial: bool) -> WhenFull:
    match on_full:
        case "defer" | "shed" as policy:
            return policy
        case "block":
            return "partial"
        case _:
            return "partial" if partial else ""


def _send(plan: Plan, queue: str, new: list[NewJob], when_full: WhenFull) -> Operation[list[Job[Any]]]:
    """A chunk, until all of it is in. With `on_full="block"`, waits for room while there is time."""
    give_up_at = 0.0  # monotonic seconds; 0: it has not waited
    jobs: list[Job[Any]] = []
    while True:
        left = new[len(jobs) :]
        admitted, fullness = yield from _offer(plan, queue, left, when_full)
        jobs += admitted
        if len(admitted) == len(left):
            return jobs
        assert fullness is not None
        now = time.monotonic()
        give_up_at = give_up_at or now + plan.options.block_for_ms / 1000
        pause = admission.wait_seconds(fullness)
        if plan.options.on_full != "block" or now + pause > give_up_at:
            plan.client.pressures.refused(queue, fullness, len(left) - len(admitted))
            whose = tenants.named(plan.options.tenant, plan.tenant_of, plan.calls, fullness.tenant)
            full = admission.refusal(queue, fullness, len(new), len(jobs), whose)
            full.enqueued = tuple(jobs)
            raise full
        yield Sleep(pause)


def _offer(
    plan: Plan, queue: str, new: list[NewJob], when_full: WhenFull
) -> Operation[tuple[list[Job[Any]], Fullness | None]]:
    """The jobs that got in: all, none, or the first if that was asked for; and how full a queue is that fills up."""
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
            limits=_limits_of(plan, new) if plan.limited else "",
            tenants=tenants.joined(plan.digests, new),
        )
        try:
            answer: Admitted | Full = yield durability.enqueue(plan.client.scripts, shared, new, when_full)
        except TidemillError as error:
            if error.may_be_applied:
                raise _unknown(plan, new, error) from error
            raise
    if isinstance(answer, Full):
        return [], answer.fullness
    client, (replies, fullness) = plan.client, answer
    pressure = 0.0
    if fullness is not None:
        pressure = min(fullness.thousandths / 1000, 1.0)
        replies = [reply for reply in replies if reply.code != "full"]
        client.pressures.admitted(queue, fullness, len(replies))
    jobs: list[Job[Any]] = [
        _holder(plan, reply) if reply.holder else Job(client, job.id, known_state(reply.state), None, pressure)
        for job, reply in zip(new, replies, strict=False)
    ]
    return jobs, fullness


def _limits_of(plan: Plan, new: list[NewJob]) -> str:
    limited = plan.limited
    return limited if isinstance(limited, str) else "\n".join(limited[job.id] for job in new)


def _unknown(plan: Plan, new: list[NewJob], error: TidemillError) -> EnqueueUnknown:
    is_delayed = plan.options.delay_ms or plan.options.due_ms is not None
    state = JobState.SCHEDULED if is_delayed else JobState.READY
    jobs = [Job[Any](plan.client, job.id, state) for job in new]
    if len(new) == 1:
        which, look = f"job {new[0].id} is", "refresh()"
    else:
        which, look = f"these {len(new)} jobs are", "refresh() of each of `jobs`"
    return EnqueueUnknown(
        f"whether {which} enqueued is not known: {error}. Look with {look}, or enqueue again with "
        "using(job_id=...) and the same id, which makes no second job",
        jobs=jobs,
    )


def _holder(plan: Plan, reply: Enqueued) -> Job[Any]:
    """The job that holds the unique key, in place of a new one."""
    if plan.options.on_conflict == "raise":
        raise JobExists(
            f"a job of {plan.task} with unique={plan.options.unique!r} is not over: "
            f"{reply.holder}, which is {reply.state}",
            job_id=reply.holder,
        )
    return Job(plan.client, reply.holder, known_state(reply.state))
