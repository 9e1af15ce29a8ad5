"""Which fallbacks are refused where the task is declared."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tidemill import InvalidInput, Tidemill

pytestmark = pytest.mark.once


@pytest.fixture
def offline() -> Tidemill:
    """An application whose server is never asked."""
    return Tidemill("redis://nowhere.invalid")


def fetch(url: str, timeout: int = 5, *, fresh: bool = False) -> str:
    return f"{url} {timeout} {fresh}"


def any_call(*args: object, **kwargs: object) -> str:
    return f"{args} {kwargs}"


def positional(a: int, b: int = 0, /) -> int:
    return a + b


def taking(signature: str) -> Callable[..., Any]:
    """A function of this signature."""
    function: Callable[..., Any] = eval(f"lambda {signature}: None")  # noqa: S307 - a text of this file
    return function


async def afetch(url: str) -> str:
    return url


Pair = tuple[Callable[..., Any], Callable[..., Any]]
RIGHT: list[Pair] = [
    (fetch, fetch),
    (fetch, any_call),
    (fetch, taking("url, timeout=1, *, fresh=True, extra=None")),
    (any_call, any_call),
    (positional, taking("x, y=3, /")),
    (positional, taking("*numbers")),
    (afetch, afetch),
]


@pytest.mark.parametrize(("function", "fallback"), RIGHT)
def test_a_fallback_that_takes_what_the_task_takes_is_kept(
    offline: Tidemill, function: Callable[..., Any], fallback: Callable[..., Any]
) -> None:
    offline.task(name="a", fallback=fallback)(function)
    assert offline.tasks["a"].fallback is fallback


WRONG: list[tuple[Callable[..., Any], Callable[..., Any], str]] = [
    (fetch, cast(Any, "cached"), "task a: a fallback is a function, made by `def` or `async def`, not 'cached'"),
    (fetch, print, "task a: a fallback is a function"),
    (
        fetch,
        afetch,
        "task a is a plain function, and its fallback afetch an `async def`: they run in the same place",
    ),
    (afetch, fetch, "task a is an `async def`, and its fallback fetch a plain function"),
    (fetch, taking(""), "too many positional arguments; it must take the same arguments"),
    (fetch, taking("url"), "can be called as (url: 'str', timeout: 'int' = 5, *, fresh: 'bool' = False) -> 'str'"),
    (fetch, taking("url, timeout"), "missing a required argument: 'timeout'"),
    (fetch, taking("url, timeout=1"), "got an unexpected keyword argument 'fresh'"),
    (fetch, taking("url, seconds=1, *, fresh=True"), "got an unexpected keyword argument 'timeout'"),
    (fetch, taking("url, timeout=1, *, fresh=True, needed"), "missing a required argument: 'needed'"),
    (any_call, taking("*args"), "got an unexpected keyword argument"),
    (any_call, taking("**kwargs"), "too many positional arguments"),
]


@pytest.mark.parametrize(("function", "fallback", "message"), WRONG)
def test_a_fallback_that_could_not_stand_in_is_refused(
    offline: Tidemill, function: Callable[..., Any], fallback: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        offline.task(name="a", fallback=fallback)(function)
    assert not offline.tasks


def test_a_task_is_no_fallback_but_its_function_is(offline: Tidemill) -> None:
    other = offline.task(name="other")(fetch)
    with pytest.raises(InvalidInput, match=r"fallback=other\.definition\.function"):
        offline.task(name="a", fallback=other)(fetch)
    offline.task(name="a", fallback=other.definition.function)(fetch)


def test_critical_is_yes_or_no(offline: Tidemill) -> None:
    with pytest.raises(InvalidInput, match="critical must be True or False, not 'yes'"):
        offline.task(critical=cast(bool, "yes"))(fetch)
    with pytest.raises(InvalidInput, match="critical must be True or False, not None"):
        offline.named("a").using(critical=cast(bool, None))


@dataclass
class Cached:
    """What a fallback returns."""

    value: int


def test_what_a_fallbacks_annotations_name_can_be_carried(offline: Tidemill) -> None:
    def cached() -> Cached:
        return Cached(1)

    @offline.task(fallback=cached)
    def plain() -> int:
        return 1

    assert plain() == 1
    assert offline.codec.decode_result(offline.codec.encode_result(Cached(2))) == Cached(2)
