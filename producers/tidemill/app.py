"""`Tidemill`: an application's tasks, and its way to the server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from tidemill import logs, registration, validation
from tidemill.client import Client
from tidemill.job import Job, JobState
from tidemill.options import Duration
from tidemill.registration import TaskDecorator, TaskOptions
from tidemill.repeating import Repeating
from tidemill.settings import SERVER_DEADLINE_SECONDS
from tidemill.target import Target, checked_url
from tidemill.task import Definition, NamedTask, named
from tidemill.templates.declaring import Templating
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec
from tidemill.wire.keys import Keys
from tidemill.wire.signing import signing_of

if TYPE_CHECKING:
    from tidemill.breakers import Breaker, BreakerOptions
    from tidemill.breakers.facade import Breakers
    from tidemill.client import Operation
    from tidemill.dead_letters import DeadLetters
    from tidemill.doctor import Report
    from tidemill.inspection import Inspection
    from tidemill.templates.facade import Templates

C = TypeVar("C", bound=type)


class Tidemill(Repeating, Templating):
    """Tasks are registered with `@mill.task()`, and enqueued through them or by name.

    url: `redis://`, `rediss://`, `unix://`, or `redis+sentinel://host:port,…/primary`; without one the environment's
        TIDEMILL_URL, and without that an embedded Valkey server in `./.tidemill/` that all processes of this directory
        share.
    prefix: what all keys begin with, so that several installations can share a server.
    max_payload_bytes: the largest arguments or result of a job.
    deadline: how long a call tries again while the server does not answer, before it raises ServerUnavailable; a
        timedelta or seconds.
    signing_keys: key id → key of at least 32 bytes, or "ID:BASE64,ID:BASE64"; without them the environment's
        TIDEMILL_SIGNING_KEYS. The first signs what is enqueued, either verifies, and a worker runs nothing else.
    accept_unsigned: with keys, run what is not signed too: while signing is switched on. By default the environment's
        TIDEMILL_ACCEPT_UNSIGNED, else no.

    Nothing is connected before the first call that needs the server.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "tm",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        deadline: Duration = SERVER_DEADLINE_SECONDS,
        signing_keys: str | Mapping[str, bytes] | None = None,
        accept_unsigned: bool | None = None,
    ) -> None:
        super().__init__()
        self._url = checked_url(url) if url else None
        self.prefix = validation.queue_name(prefix)
        self.codec = Codec(max_payload_bytes=max_payload_bytes)
        self._target = Target(self._resolve_url)
        deadline_seconds = validation.duration_ms("deadline", deadline, zero=False) / 1000
        signing = signing_of(signing_keys, accept_unsigned, prefix, max_payload_bytes)
        self.client = Client(self._target, Keys(prefix), self.codec, deadline_seconds, signing)
        self.tasks: dict[str, Definition] = {}

    def __repr__(self) -> str:
        url = self._url or os.environ.get("TIDEMILL_URL") or "embedded"
        return f"<Tidemill {logs.mask_url(url)}, {len(self.tasks)} tasks>"

    @property
    def url(self) -> str:
        """The server's URL, with its password. Starts the embedded server if that is the one."""
        return self._resolve_url()

    def _resolve_url(self) -> str:
        found = self._url or os.environ.get("TIDEMILL_URL")
        if found:
            return found
        from tidemill.embedded import ensure_running

        return ensure_running(_directory()).url

    # Most programs look at nothing and steer nothing: what that needs is imported by those that do.

    @cached_property
    def inspect(self) -> Inspection:
        """Queues, jobs and workers: a look at them, and a hand on them."""
        from tidemill.inspection import Inspection

        return Inspection(self.client)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """Finds dead letters, runs them again and removes them."""
        from tidemill.dead_letters import DeadLetters

        return DeadLetters(self.client, self.tasks)

    @cached_property
    def breakers(self) -> Breakers:
        """A look at circuit breakers, and a hand on them."""
        from tidemill.breakers.facade import Breakers

        return Breakers(self.client)

    @cached_property
    def templates(self) -> Templates:
        """A look at templates and their versions, and a hand on them."""
        from tidemill.templates.facade import Templates

        return Templates(self.client)

    # -- tasks --------------------------------------------------------------------------------------------------

    def task(self, **options: Unpack[TaskOptions]) -> TaskDecorator:
        """Registers a function as a task.

        name: `module.function` unless given; what travels with each job.
        retry: how often and when failed attempts are made again; by default there is one attempt.
        timeout: seconds or a timedelta that one attempt may run. Async tasks are cancelled, process tasks are killed,
            thread tasks get an exception at their next bytecode (a call into C is not interrupted).
        executor: "async" for `async def` (and only for it), else "thread" (default) or "process", or a plug-in's name.
        priority, result_ttl, expires: as in `using`.
        fallback: a function of the same kind with the same arguments, called when the job would be dead, or when a
            further attempt would begin less than 200 ms before `until` or `expires`; what it returns is the result.
        critical: attempts are made until the last moment; those 200 ms do not count.
        rate, concurrency: of this task's jobs so many start in a time ("100/s", "100/s burst 20"), and so many run at
            once, in the whole fleet; rate_key, concurrency_key: for each value of this argument by itself.
        cost: what a job takes of the rate. limits: limits that this task shares with others. All this: see `Limit`.
        breaker: a circuit breaker of this Tidemill, or its name. While it is open, the task's jobs are parked: that
            spends no attempt; else each of them is a call through it.
        tenant_key: the argument that says whose a job is; `using(tenant=)` goes before it. See docs/fairness.md.
        Raises InvalidInput for a wrong option, or a name that is taken.
        """
        return registration.decorator(self.client, self.tasks, options)

    def breaker(self, name: str, **options: Unpack[BreakerOptions]) -> Breaker:
        """The circuit breaker of this name, which all processes share: for `with`, `async with`, as a decorator, or
        declared on tasks. Without options the one that was declared before, or one with the defaults.

        fail_max: it opens after so many failures in a row, in one process; default 5.
        window, error_rate, min_calls: it opens when at least this part of the calls of the last `window` has failed;
            60 s, 0.5 and 20 calls at least.
        slow_call, slow_rate: it opens when at least this part of them took so long; by default nothing is slow.
        None switches fail_max, error_rate or slow_call off.
        reset_timeout: when an open one lets probes through; 30 s. Each failed probe doubles it, up to
            `max_reset_timeout`, which by default is the same.
        half_open_max: probes at a time in the whole fleet, all of which have to pass to close it; 3.
        release_rate: parked jobs a second that come back when it is closed; 100.
        exclude: exception classes, or functions of the exception, that say nothing of the dependency: as successes.
        Times are timedeltas or seconds. Raises InvalidInput for what contradicts, and for a name that was declared with
        other options.
        """
        return self.client.breakers.declare(validation.breaker_name(name), options)

    def carry(self, dataclass: C) -> C:
        """Registers a dataclass (as a decorator, or called) that arguments or results may contain.

        Dataclasses that stand in a task's annotations are registered by themselves.
        """
        self.codec.carry(dataclass)
        return dataclass

    def named(self, name: str) -> NamedTask[Any]:
        """A task by its name, without its code: `mill.named("images.thumbnail").using(queue="slow")`.

        Without a queue it goes where the workers that know it said that it belongs, else to "default".
        """
        return named(self.client, self.tasks, name)

    def enqueue(self, name: str, /, *args: object, **kwargs: object) -> Job[Any]:
        """Makes a job of a task that is known by its name: see `named`."""
        return self.named(name).enqueue(*args, **kwargs)

    async def aenqueue(self, name: str, /, *args: object, **kwargs: object) -> Job[Any]:
        """`enqueue` for async code."""
        return await self.named(name).aenqueue(*args, **kwargs)

    # -- jobs ---------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job[Any]:
        """The job with this id, as it is now. Raises JobNotFound."""
        return self._handle(job_id).refresh()

    async def ajob(self, job_id: str) -> Job[Any]:
        """`job` for async code."""
        return await self._handle(job_id).arefresh()

    def _handle(self, job_id: str) -> Job[Any]:
        return Job(self.client, validation.job_id(job_id), JobState.READY)

    # -- publishing ---------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Publishes all templates and recurring jobs of this process; a worker does it when it starts."""
        self.client.run(self._publish())

    async def apublish(self) -> None:
        """`publish` for async code."""
        await self.client.arun(self._publish())

    def _publish(self) -> Operation[None]:
        for declared in list(self.client.catalog.declared.values()):
            yield from self.client.catalog.publish(declared)
        for recurring in self.declared:
            yield from self.publish_recurring(recurring)

    # -- health -------------------------------------------------------------------------------------------------

    def doctor(self, *, repair: bool = False) -> Report:
        """Looks for what is lost, left over or in the wrong place, of all jobs, tickets, locks, workers and queues.

        repair: mends it too; without it nothing is changed. Both are safe while everything runs: a repair looks again
            and mends in one step, and a job never runs twice for it. Repairs are logged and counted.
        It takes a few seconds for a hundred thousand jobs. Raises ServerUnavailable.
        """
        return self.client.run(self._doctor(repair))

    async def adoctor(self, *, repair: bool = False) -> Report:
        """`doctor` for async code."""
        return await self.client.arun(self._doctor(repair))

    def _doctor(self, repair: bool) -> Operation[Report]:
        from tidemill.doctor.examination import examine

        return examine(self.client, repair=repair)

    # -- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes connections; the next call opens them again."""
        self.client.close()

    async def aclose(self) -> None:
        """`close` for async code; also closes the connections of the running loop."""
        await self.client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _directory() -> Path | None:
    found = os.environ.get("TIDEMILL_DIR")
    return Path(found) if found else None
