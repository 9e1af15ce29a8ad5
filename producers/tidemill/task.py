"""A task: a function that workers run, and the calls that enqueue it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, Unpack

from tidemill import enqueueing, validation
from tidemill.errors import InvalidInput
from tidemill.job import Job
from tidemill.limits import Limits
from tidemill.options import Choices, Options
from tidemill.retry import NO_RETRY, Retry
from tidemill.tenants import TenantOf

if TYPE_CHECKING:
    from tidemill.breakers import Breaker
    from tidemill.client import Client

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")


@dataclass(slots=True)  # not frozen: made for every job, and a frozen one takes twice as long to make
class Call:
    """The arguments of one job for `enqueue_many`; made by `call(...)`."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def call(*args: object, **kwargs: object) -> Call:
    """The arguments of one job, for `task.enqueue_many([call("a.jpg"), call("b.jpg", size=64)])`."""
    return Call(args, kwargs)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a worker has to know of a task."""

    name: str
    function: Callable[..., Any]
    queue: str
    retry: Retry = NO_RETRY
    timeout_ms: int | None = None
    executor: str = "thread"
    fallback: Callable[..., Any] | None = None
    critical: bool = False
    limits: Limits | None = None
    breaker: Breaker | None = None
    tenant_of: TenantOf | None = field(default=None, repr=False)
    check: Callable[..., object] = field(default=lambda *_, **__: None, repr=False)


class Enqueuer(Generic[R]):
    """What tasks and names have in common: a name, options, and a client."""

    def __init__(self, client: Client, name: str, options: Options) -> None:
        self._client = client
        self.name: Final = name
        self.options: Final = options

    def _plan(self, calls: Sequence[Call], options: Options) -> enqueueing.Plan:
        return enqueueing.Plan(self._client, self.name, options, calls)


class Task(Enqueuer[R], Generic[P, R]):
    """A registered function. Calling it calls the function; its `enqueue` calls make jobs of it."""

    def __init__(self, client: Client, definition: Definition, options: Options) -> None:
        super().__init__(client, definition.name, options)
        self.definition: Final = definition
        self.__doc__ = definition.function.__doc__
        self.__name__ = getattr(definition.function, "__name__", definition.name)
        self.__wrapped__ = definition.function

    def __repr__(self) -> str:
        return f"<Task {self.name} on {self.options.queue}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.definition.function(*args, **kwargs)
        return result

    def using(self, **choices: Unpack[Choices]) -> Task[P, R]:
        """This task with other options: see `Choices`. Raises InvalidInput that names the choice."""
        return type(self)(self._client, self.definition, self.options.using(choices))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Makes a job of this call. When it returns, the job is in Redis.

        Raises TypeError for arguments that the function does not take, InvalidInput for values that can't be carried,
        QueueFull, JobExists, ServerUnavailable: the job is not in Redis then. EnqueueUnknown, which carries the job,
        when it may be. Safe to repeat with the same `job_id`.
        """
        return self._client.run(enqueueing.one(self._one(args, kwargs, self.options)))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for async code."""
        return await self._client.arun(enqueueing.one(self._one(args, kwargs, self.options)))

    def enqueue_in(self, delay: timedelta | float, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `enqueue`, but not to run before `delay` (a timedelta or seconds) has passed."""
        return self._client.run(enqueueing.one(self._one(args, kwargs, self._after(delay))))

    async def aenqueue_in(self, delay: timedelta | float, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue_in` for async code."""
        return await self._client.arun(enqueueing.one(self._one(args, kwargs, self._after(delay))))

    def enqueue_at(self, when: datetime, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """As `enqueue`, but not to run before `when`, an aware datetime; a past one runs now."""
        return self._client.run(enqueueing.one(self._one(args, kwargs, self._at(when))))

    async def aenqueue_at(self, when: datetime, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue_at` for async code."""
        return await self._client.arun(enqueueing.one(self._one(args, kwargs, self._at(when))))

    def enqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[R]]:
        """A job for each call, in order; one round trip for each chunk of jobs.

        All arguments are checked before anything is sent. A chunk is taken whole or not at all: on QueueFull,
        ServerUnavailable or ServerUnsuitable the chunks before it are enqueued, and the error's `enqueued` has their
        jobs. EnqueueUnknown also has those, in `jobs`, of which it is not known.

        partial: a queue without room for a whole chunk takes its first jobs, as many as have room; then QueueFull is
        raised, whose `enqueued` has all that got in. With `on_full="block"` that is always so.
        """
        return self._client.run(enqueueing.many(self._many(calls), partial=partial))

    async def aenqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[R]]:
        """`enqueue_many` for async code."""
        return await self._client.arun(enqueueing.many(self._many(calls), partial=partial))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """As `tidemill.call`, with the arguments checked by type checkers."""
        return Call(args, kwargs)

    def _one(self, args: tuple[object, ...], kwargs: Mapping[str, object], options: Options) -> enqueueing.Plan:
        self.definition.check(*args, **kwargs)
        return self._plan((Call(args, kwargs),), options)

    def _plan(self, calls: Sequence[Call], options: Options) -> enqueueing.Plan:
        found = self.definition
        return enqueueing.Plan(self._client, self.name, options, calls, limits=found.limits, tenant_of=found.tenant_of)

    def _many(self, calls: Iterable[Call]) -> enqueueing.Plan:
        found = list(calls)
        for index, item in enumerate(found):
            if not isinstance(item, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
                raise InvalidInput(f"enqueue_many takes call(...) objects; item {index} is {item!r}")
            self.definition.check(*item.args, **item.kwargs)
        return self._plan(found, self.options)

    def _after(self, delay: timedelta | float) -> Options:
        return self.options.using({"delay": delay})

    def _at(self, when: datetime) -> Options:
        return enqueueing.at(self.options, validation.instant_ms("enqueue_at", when))


class AsyncTask(Task[P, R]):
    """A task whose function is `async def`: calling it gives a coroutine."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override] # the call differs, and only the call
        coroutine: Coroutine[Any, Any, R] = self.definition.function(*args, **kwargs)
        return coroutine

    def using(self, **choices: Unpack[Choices]) -> AsyncTask[P, R]:
        """As `Task.using`."""
        return AsyncTask(self._client, self.definition, self.options.using(choices))


class NamedTask(Enqueuer[R]):
    """A task known by its name alone: its code need not be importable here."""

    def using(self, **choices: Unpack[Choices]) -> NamedTask[R]:
        """This name with other options: see `Choices`."""
        return NamedTask(self._client, self.name, self.options.using(choices))

    def enqueue(self, *args: object, **kwargs: object) -> Job[R]:
        """As `Task.enqueue`; the arguments can't be checked against the function here."""
        return self._client.run(enqueueing.one(self._plan((Call(args, kwargs),), self.options)))

    async def aenqueue(self, *args: object, **kwargs: object) -> Job[R]:
        """`enqueue` for async code."""
        return await self._client.arun(enqueueing.one(self._plan((Call(args, kwargs),), self.options)))

    def enqueue_in(self, delay: timedelta | float, /, *args: object, **kwargs: object) -> Job[R]:
        """As `Task.enqueue_in`."""
        return self.using(delay=delay).enqueue(*args, **kwargs)

    async def aenqueue_in(self, delay: timedelta | float, /, *args: object, **kwargs: object) -> Job[R]:
        """`enqueue_in` for async code."""
        return await self.using(delay=delay).aenqueue(*args, **kwargs)

    def enqueue_at(self, when: datetime, /, *args: object, **kwargs: object) -> Job[R]:
        """As `Task.enqueue_at`."""
        options = enqueueing.at(self.options, validation.instant_ms("enqueue_at", when))
        return self._client.run(enqueueing.one(self._plan((Call(args, kwargs),), options)))

    async def aenqueue_at(self, when: datetime, /, *args: object, **kwargs: object) -> Job[R]:
        """`enqueue_at` for async code."""
        options = enqueueing.at(self.options, validation.instant_ms("enqueue_at", when))
        return await self._client.arun(enqueueing.one(self._plan((Call(args, kwargs),), options)))

    def enqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[R]]:
        """As `Task.enqueue_many`."""
        return self._client.run(enqueueing.many(self._plan(list(calls), self.options), partial=partial))

    async def aenqueue_many(self, calls: Iterable[Call], *, partial: bool = False) -> list[Job[R]]:
        """`enqueue_many` for async code."""
        return await self._client.arun(enqueueing.many(self._plan(list(calls), self.options), partial=partial))


def named(client: Client, tasks: Mapping[str, Definition], name: str) -> NamedTask[Any]:
    """A task by its name; where this process knows it, with its queue."""
    known = tasks.get(name)
    return NamedTask(client, validation.task_name(name), Options(queue=known.queue if known else None))
