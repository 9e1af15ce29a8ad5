"""What may stand in for a task's function: a function of the same kind that takes whatever the task takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Any

from tidemill.errors import InvalidInput

# A keyword argument that no function names; for those that take any.
_ANY_KEYWORD = "tidemill_any"


def check(task: str, function: Callable[..., Any], fallback: object) -> None:
    """Raises InvalidInput for a fallback that could not be called in the place of the task's function."""
    if not inspect.isfunction(fallback):
        raise InvalidInput(
            f"task {task}: a fallback is a function, made by `def` or `async def`, not {fallback!r}; "
            "for that of a task give its function, as fallback=other.definition.function"
        )
    is_async, fallback_is_async = map(inspect.iscoroutinefunction, (function, fallback))
    if is_async != fallback_is_async:
        kinds = ("a plain function", "an `async def`")
        raise InvalidInput(
            f"task {task} is {kinds[is_async]}, and its fallback {fallback.__qualname__} {kinds[fallback_is_async]}: "
            "they run in the same place, so make both of one kind"
        )
    accepted = inspect.signature(fallback)
    for args, kwargs in _calls(inspect.signature(function)):
        try:
            accepted.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidInput(
                f"task {task} can be called as {inspect.signature(function)}, and its fallback {fallback.__qualname__} "
                f"as {accepted}: {error}; it must take the same arguments"
            ) from None


def _calls(signature: Signature) -> Iterator[tuple[list[None], dict[str, None]]]:
    """Calls that a function accepts, so that another one which accepts them all accepts whatever it does: with as few
    arguments as it can, with as many as it can by position, and with as many as it can by name."""
    parameters = list(signature.parameters.values())
    by_position = [
        one for one in parameters if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    by_either = [one for one in by_position if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
    by_name = [one for one in parameters if one.kind is Parameter.KEYWORD_ONLY]
    more = [None] if any(one.kind is Parameter.VAR_POSITIONAL for one in parameters) else []
    others = [_ANY_KEYWORD] if any(one.kind is Parameter.VAR_KEYWORD for one in parameters) else []

    def names(found: list[Parameter]) -> dict[str, None]:
        return {one.name: None for one in found}

    needed = [one for one in by_position if one.default is Parameter.empty]
    yield [None] * len(needed), names([one for one in by_name if one.default is Parameter.empty])
    yield [None] * len(by_position) + more, names(by_name) | dict.fromkeys(others)
    first = len(by_position) - len(by_either)
    yield [None] * first, names(by_either + by_name) | dict.fromkeys(others)
