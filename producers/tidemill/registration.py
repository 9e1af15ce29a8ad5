"""What makes a function a task: its options, its name, its executor, and that no other has its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar, overload

from tidemill import fallbacks, limits, tenants, validation
from tidemill.enqueueing import DEFAULT_QUEUE
from tidemill.errors import InvalidInput
from tidemill.limits import Cost, Key, Limit
from tidemill.names import module_name
from tidemill.options import Choices, Duration, Options, Priority, retry_policy
from tidemill.retry import NO_RETRY, Retry
from tidemill.signatures import checker
from tidemill.task import AsyncTask, Definition, Task

if TYPE_CHECKING:
    from tidemill.breakers import Breaker
    from tidemill.client import Client

P = ParamSpec("P")
R = TypeVar("R")


class TaskOptions(TypedDict, total=False):
    """What `@mill.task(...)` takes: see `Tidemill.task`."""

    name: str | None
    queue: str
    retry: Retry
    timeout: Duration | None
    executor: Literal["async", "thread", "process"] | str | None
    priority: Priority
    result_ttl: Duration | None
    expires: Duration | None
    fallback: Callable[..., Any] | None
    critical: bool
    rate: str | None
    rate_key: Key | None
    concurrency: int | None
    concurrency_key: Key | None
    cost: Cost
    limits: Sequence[Limit]
    breaker: Breaker | str | None
    tenant_key: str | None


class TaskDecorator(Protocol):
    """What `mill.task(...)` returns: keeps the function's parameters and its result for type checkers."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


def decorator(client: Client, tasks: dict[str, Definition], given: TaskOptions) -> TaskDecorator:
    """What registers a function with these options. Raises InvalidInput for a wrong one."""
    for name in given.keys() - TaskOptions.__annotations__.keys():
        raise TypeError(f"Tidemill.task() got an unexpected keyword argument {name!r}")
    breaker, timeout = given.get("breaker"), given.get("timeout")
    guarded_by = None if breaker is None else client.breakers.of(breaker)
    options = _job_options(given)
    timeout_ms = None if timeout is None else validation.duration_ms("timeout", timeout, zero=False)
    retry = retry_policy(given.get("retry", NO_RETRY))

    def register(function: Callable[..., Any], /) -> Any:
        definition = _define(function, given, retry=retry, timeout_ms=timeout_ms, breaker=guarded_by)
        _add(definition, tasks)
        client.codec.carry_annotations(function)
        if definition.fallback is not None:
            client.codec.carry_annotations(definition.fallback)
        made: Task[..., Any] = (AsyncTask if definition.executor == "async" else Task)(client, definition, options)
        return made

    return register


def _job_options(given: TaskOptions) -> Options:
    choices = Choices(priority=given.get("priority", "normal"))
    if (result_ttl := given.get("result_ttl")) is not None:
        choices["result_ttl"] = result_ttl
    if (expires := given.get("expires")) is not None:
        choices["expires"] = expires
    return Options(queue=validation.queue_name(given.get("queue", DEFAULT_QUEUE))).using(choices)


def _define(
    function: Callable[..., Any], given: TaskOptions, *, retry: Retry, timeout_ms: int | None, breaker: Breaker | None
) -> Definition:
    """The definition of a task. Raises InvalidInput for what is no function, and for what does not fit it."""
    if not inspect.isfunction(function):
        raise InvalidInput(f"a task is a function, made by `def` or `async def`, not {function!r}")
    name, fallback, tenant_key = given.get("name"), given.get("fallback"), given.get("tenant_key")
    task = validation.task_name(_default_name(function) if name is None else name)
    if fallback is not None:
        fallbacks.check(task, function, fallback)
    return Definition(
        name=task,
        function=function,
        queue=given.get("queue", DEFAULT_QUEUE),
        retry=retry,
        timeout_ms=timeout_ms,
        executor=_executor(task, given.get("executor"), inspect.iscoroutinefunction(function)),
        fallback=fallback,
        limits=limits.bind(task, function, _own_limits(task, given), given.get("limits", ())),
        critical=validation.flag("critical", given.get("critical", False)),
        breaker=breaker,
        tenant_of=None if tenant_key is None else tenants.from_argument(task, function, tenant_key),
        check=checker(function, task),
    )


def _own_limits(task: str, given: TaskOptions) -> Sequence[Limit]:
    return limits.of_task(
        task,
        given.get("rate"),
        given.get("rate_key"),
        given.get("concurrency"),
        given.get("concurrency_key"),
        given.get("cost", 1),
    )


def _add(definition: Definition, tasks: dict[str, Definition]) -> None:
    """Raises InvalidInput if another function has the name."""
    known = tasks.get(definition.name)
    if known is not None and not _is_same(known.function, definition.function):
        raise InvalidInput(
            f"task {definition.name!r} is registered already, for {known.function!r}: give one of them a name="
        )
    tasks[definition.name] = definition


def _default_name(function: Callable[..., object]) -> str:
    qualified = function.__qualname__.rpartition("<locals>.")[2]
    return f"{module_name(function.__module__)}.{qualified}"


def _is_same(known: Callable[..., object], function: Callable[..., object]) -> bool:
    """The same function, perhaps loaded twice: as `__main__` and by its module's name, or by a reload."""
    if known is function:
        return True
    assert inspect.isfunction(known)
    assert inspect.isfunction(function)
    alike = (known.__code__, known.__defaults__) == (function.__code__, function.__defaults__)
    return alike and known.__closure__ is None and function.__closure__ is None


def _executor(task: str, wanted: str | None, is_async: bool) -> str:
    if is_async and wanted not in (None, "async"):
        raise InvalidInput(f"task {task}: an `async def` runs on the loop; executor={wanted!r} is for plain functions")
    if not is_async and wanted == "async":
        raise InvalidInput(f"task {task}: executor='async' needs an `async def`; use 'thread' or 'process'")
    return wanted or ("async" if is_async else "thread")
