"""A breaker around a block of code or a function: from its beginning to the news of how it ended."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from tidemill.breakers.breaker import Breaker, Call

P = ParamSpec("P")
R = TypeVar("R")

# The blocks that this thread or task is in, the innermost last: one breaker may be entered by many at once.
_blocks: ContextVar[tuple[tuple[Call | None, float], ...]] = ContextVar("tidemill_breaker_blocks", default=())


def enter(call: Call | None) -> None:
    """A block begins. None: it is no call of its own."""
    _blocks.set((*_blocks.get(), (call, time.monotonic())))


def leave(breaker: Breaker, error: BaseException | None) -> None:
    """The innermost block ends."""
    *outer, (call, began) = _blocks.get()
    _blocks.set(tuple(outer))
    if call is not None:
        call.ended("succeeded" if error is None else breaker.judge(error), time.monotonic() - began)


def decorated(breaker: Breaker, function: Callable[P, R]) -> Callable[P, R]:
    """A plain or an async function, each of whose calls is a block."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def guarded_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with breaker:
                return await cast(Any, function)(*args, **kwargs)

        return cast(Callable[P, R], guarded_coroutine)

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with breaker:
            return function(*args, **kwargs)

    return guarded
