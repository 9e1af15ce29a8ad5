"""Looking at queues, jobs and workers, and steering them: what the command line and dashboards call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tidemill import durability, job_inspection, limits, tenant_inspection, validation
from tidemill.client import Batch
from tidemill.durability import Durability
from tidemill.errors import InvalidInput
from tidemill.job import Job
from tidemill.limit_figures import LimitFigures, figures
from tidemill.tenant_inspection import TenantFigures
from tidemill.wire.scripts import QueueFigures

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# Schedulers look at ages once a second.
_LEAST_AGE_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process. `lease_end_ms` is unix time; in the past: it is dead, or about to be recovered."""

    incarnation: str
    lease_end_ms: int
    description: dict[str, str]


class Inspection:
    """`mill.inspect`: reads nothing but what Redis holds; every call has an a-twin."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def queues(self) -> list[QueueFigures]:
        """The figures of every queue."""
        return self._client.run(self._queues())

    async def aqueues(self) -> list[QueueFigures]:
        """`queues` for async code."""
        return await self._client.arun(self._queues())

    def queue(self, name: str) -> QueueFigures:
        """The figures of one queue."""
        return self._client.run(self._queue(name))

    async def aqueue(self, name: str) -> QueueFigures:
        """`queue` for async code."""
        return await self._client.arun(self._queue(name))

    def workers(self) -> list[WorkerInfo]:
        """The worker processes."""
        return self._client.run(self._workers())

    async def aworkers(self) -> list[WorkerInfo]:
        """`workers` for async code."""
        return await self._client.arun(self._workers())

    def jobs(self, queue: str, state: str | None = None, *, offset: int = 0, limit: int = 50) -> list[Job[Any]]:
        """Jobs of a queue, of one state or of all; at most `limit`."""
        return self._client.run(job_inspection.listed(self._client, queue, state, offset, limit))

    async def ajobs(self, queue: str, state: str | None = None, *, offset: int = 0, limit: int = 50) -> list[Job[Any]]:
        """`jobs` for async code."""
        return await self._client.arun(job_inspection.listed(self._client, queue, state, offset, limit))

    def pause(self, queue: str) -> None:
        """Workers take nothing more from the queue; what runs goes on, and jobs can still be enqueued."""
        self._client.run(self._configure(queue, {"paused": "1"}))

    async def apause(self, queue: str) -> None:
        """`pause` for async code."""
        await self._client.arun(self._configure(queue, {"paused": "1"}))

    def resume(self, queue: str) -> None:
        """Ends a pause."""
        self._client.run(self._configure(queue, {"paused": ""}))

    async def aresume(self, queue: str) -> None:
        """`resume` for async code."""
        await self._client.arun(self._configure(queue, {"paused": ""}))

    def limit(
        self,
        queue: str,
        jobs: int | None = None,
        *,
        size_bytes: int | None = None,
        age_seconds: float | timedelta | None = None,
    ) -> None:
        """From when on `enqueue` has no room in the queue.

        jobs: so many wait or run.
        size_bytes: their arguments take so much (estimated, from the mean of those that came).
        age_seconds: the oldest that is ready has waited for so long, a second at least (or a timedelta). A scheduler
            looks once a second; while none does, this limit refuses nothing.

        All are set at once; None: no limit of this kind. From 85 % of one on, `job.pressure` says so.
        """
        self._client.run(self._limit(queue, jobs, size_bytes, age_seconds))

    async def alimit(
        self,
        queue: str,
        jobs: int | None = None,
        *,
        size_bytes: int | None = None,
        age_seconds: float | timedelta | None = None,
    ) -> None:
        """`limit` for async code."""
        await self._client.arun(self._limit(queue, jobs, size_bytes, age_seconds))

    def throttle(self, queue: str, rate: str | None = None, concurrency: int | None = None) -> None:
        """Limits what workers start of the queue, in the whole fleet; enqueueing goes on.

        rate: "100/s", "100/s burst 20", or for a minute (m), an hour (h), a day (d).
        concurrency: so many run at once.

        Both are set at once; None: no limit of this kind. Limits of tasks count as well: see `tidemill.Limit`.
        """
        self._client.run(self._throttle(queue, rate, concurrency))

    async def athrottle(self, queue: str, rate: str | None = None, concurrency: int | None = None) -> None:
        """`throttle` for async code."""
        await self._client.arun(self._throttle(queue, rate, concurrency))

    def limits(self) -> list[LimitFigures]:
        """Rates and concurrencies of tasks and queues: what is used of them, and how many jobs wait."""
        return self._client.run(figures(self._client))

    async def alimits(self) -> list[LimitFigures]:
        """`limits` for async code."""
        return await self._client.arun(figures(self._client))

    def durability(self, queue: str, level: Durability | None) -> None:
        """What an enqueue into the queue waits for: see `tidemill.durability`. None is "aof", the default.

        Raises ServerUnsuitable, saying what to change, and leaves the queue as it is, when the server can't keep it.
        """
        self._client.run(self._durability(queue, level))

    async def adurability(self, queue: str, level: Durability | None) -> None:
        """`durability` for async code."""
        await self._client.arun(self._durability(queue, level))

    def tenants(self, queue: str, limit: int = 100) -> list[TenantFigures]:
        """The tenants that wait for their turn, and those with a weight or limit; who waits with most jobs first."""
        return self._client.run(tenant_inspection.figures(self._client, queue, limit))

    async def atenants(self, queue: str, limit: int = 100) -> list[TenantFigures]:
        """`tenants` for async code."""
        return await self._client.arun(tenant_inspection.figures(self._client, queue, limit))

    def weight(self, queue: str, tenant: str | int | UUID | None, weight: float | None) -> None:
        """What a tenant gets of a queue, from 0.01 to 100, against the 1 of those without a weight, and of None here.

        tenant: None: the jobs without one, which share like a tenant.
        """
        self._client.run(tenant_inspection.set_weight(self._client, queue, tenant, weight))

    async def aweight(self, queue: str, tenant: str | int | UUID | None, weight: float | None) -> None:
        """`weight` for async code."""
        await self._client.arun(tenant_inspection.set_weight(self._client, queue, tenant, weight))

    def tenant_limit(self, queue: str, jobs: int | None, tenant: str | int | UUID | None = None) -> None:
        """From how many jobs that wait for their turn on `enqueue` has no room for a tenant; None: no limit.

        tenant: whose; its own limit goes before that of each. None: each tenant's.
        """
        self._client.run(tenant_inspection.set_limit(self._client, queue, jobs, tenant))

    async def atenant_limit(self, queue: str, jobs: int | None, tenant: str | int | UUID | None = None) -> None:
        """`tenant_limit` for async code."""
        await self._client.arun(tenant_inspection.set_limit(self._client, queue, jobs, tenant))

    def purge(self, queue: str) -> int:
        """Cancels every job of the queue that has not started. Returns how many."""
        return self._client.run(job_inspection.purge(self._client, queue))

    async def apurge(self, queue: str) -> int:
        """`purge` for async code."""
        return await self._client.arun(job_inspection.purge(self._client, queue))

    def _queues(self) -> Operation[list[QueueFigures]]:
        scripts = self._client.scripts
        names: list[str] = yield scripts.queue_names()
        found: list[QueueFigures] = yield Batch([scripts.measure(name) for name in names])
        return found

    def _queue(self, name: str) -> Operation[QueueFigures]:
        found: QueueFigures = yield self._client.scripts.measure(validation.queue_name(name))
        return found

    def _workers(self) -> Operation[list[WorkerInfo]]:
        scripts = self._client.scripts
        leases: list[tuple[str, int]] = yield scripts.workers()
        descriptions: list[dict[str, str]] = yield Batch([scripts.describe_worker(name) for name, _ in leases])
        return [WorkerInfo(*lease, description) for lease, description in zip(leases, descriptions, strict=True)]

    def _configure(self, queue: str, changes: dict[str, str]) -> Operation[None]:
        yield self._client.scripts.configure(validation.queue_name(queue), changes)

    def _limit(
        self, queue: str, jobs: int | None, size_bytes: int | None, age: float | timedelta | None
    ) -> Operation[None]:
        age_ms = None if age is None else validation.duration_ms("age_seconds", age, zero=False)
        if age_ms is not None and age_ms < _LEAST_AGE_MS:
            raise InvalidInput(f"age_seconds {age} is not valid: a second at least, as often ages are looked at")
        limits = {
            "limit": jobs if jobs is None else validation.whole("limit", jobs, 1, 10**9),
            "limit_bytes": size_bytes if size_bytes is None else validation.whole("size_bytes", size_bytes, 1, 10**14),
            "limit_age_ms": age_ms,
        }
        yield from self._configure(queue, {name: "" if value is None else str(value) for name, value in limits.items()})

    def _throttle(self, queue: str, rate: str | None, concurrency: int | None) -> Operation[None]:
        wanted = {
            "rate": "" if rate is None else limits.rate("rate", rate).packed(),
            "concurrency": "" if concurrency is None else str(limits.concurrency("concurrency", concurrency)),
        }
        yield from self._configure(queue, wanted)

    def _durability(self, queue: str, level: str | None) -> Operation[None]:
        wanted = validation.one_of("durability", level or "aof", durability.LEVELS)
        yield durability.set_level(self._client.scripts, validation.queue_name(queue), wanted)
