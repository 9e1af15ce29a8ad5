"""What makes a function a task: its name, its executor, and that no other has its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tidemill import fallbacks, limits, tenants, validation
from tidemill.breakers.breaker import Breaker
from tidemill.errors import InvalidInput
from tidemill.limits import Limit
from tidemill.names import module_name
from tidemill.retry import Retry
from tidemill.signatures import checker
from tidemill.task import Definition


def define(
    function: Callable[..., Any],
    *,
    name: str | None,
    queue: str,
    retry: Retry,
    timeout_ms: int | None,
    executor: str | None,
    fallback: Callable[..., Any] | None,
    critical: bool,
    own_limits: Callable[[str], Sequence[Limit]],
    shared_limits: Sequence[Limit],
    breaker: Breaker | None,
    tenant_key: str | None = None,
) -> Definition:
    """The definition of a task. Raises InvalidInput for what is no function, and for what does not fit it."""
    if not inspect.isfunction(function):
        raise InvalidInput(f"a task is a function, made by `def` or `async def`, not {function!r}")
    task = validation.task_name(_default_name(function) if name is None else name)
    if fallback is not None:
        fallbacks.check(task, function, fallback)
    return Definition(
        name=task,
        function=function,
        queue=queue,
        retry=retry,
        timeout_ms=timeout_ms,
        executor=_executor(task, executor, inspect.iscoroutinefunction(function)),
        fallback=fallback,
        limits=limits.bind(task, function, own_limits(task), shared_limits),
        critical=validation.flag("critical", critical),
        breaker=breaker,
        tenant_of=None if tenant_key is None else tenants.from_argument(task, function, tenant_key),
        check=checker(function, task),
    )


def add(definition: Definition, tasks: dict[str, Definition]) -> None:
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
