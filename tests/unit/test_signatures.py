"""Calls are checked against the function's signature, with Python's own words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.signatures import checker


def positional(a: int, b: int = 2, /, c: int = 3) -> None: ...
def keywords(a: int, *, b: int, c: object = object()) -> None: ...
def variable(a: int, *args: int, b: int = 1, **kwargs: int) -> None: ...
def nothing() -> None: ...
async def asynchronous(a: int, b: str = "'\"\n") -> None: ...


FUNCTIONS: list[Callable[..., Any]] = [positional, keywords, variable, nothing, asynchronous]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.sampled_from("abcd"), st.integers(), max_size=3),
)
def test_a_call_is_accepted_exactly_if_the_function_accepts_it(
    function: Callable[..., Any], args: list[int], kwargs: dict[str, int]
) -> None:
    check = checker(function, f"module.{function.__name__}")
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match=rf"^{function.__name__}\(\) "):
            check(*args, **kwargs)
    else:
        assert check(*args, **kwargs) is None
