"""The pure parts: copies of defaults, their size, upcasters, and what becomes of a content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest

from templates_worker.shapes import Marked
from tidemill.errors import InvalidArguments
from tidemill.templates.schema import compile_form, describe
from tidemill_consumers.templates.copying import copier, size_of
from tidemill_consumers.templates.version import Keywords, Mismatch, Upcaster, make_bind, make_bind_late, steps_from


@dataclass(frozen=True)
class Fixed:
    number: int


@dataclass(frozen=True)
class Holder:
    numbers: list[int]


@pytest.mark.parametrize(
    "value", [1, "text", b"bytes", None, 1.5, Decimal(1), datetime.now(UTC), (1, ("a", None)), frozenset({1}), Fixed(1)]
)
def test_what_nobody_can_change_is_shared(value: object) -> None:
    assert copier(value) is None


@pytest.mark.parametrize(
    "value",
    [
        [],
        [1, [2]],
        {"a": {"b": [1]}},
        {1, 2},
        ([1], 2),
        Holder([1]),
        {"a": Holder([1])},
        [({"a": [1]},)],
        [{"a": 1}, {"b": (2,)}],
        [{"a": 1}, {"b": [2]}],
        [{"a": 1}, [2]],
    ],
    ids=repr,
)
def test_a_copy_is_equal_and_shares_nothing_that_can_be_changed(value: object) -> None:
    make = copier(value)
    assert make is not None
    first, second = make(), make()
    assert first == second == value
    assert not changeable(first) & changeable(second)
    assert not changeable(first) & changeable(value)


def changeable(value: object) -> set[int]:
    """The identities of all lists, maps and sets within."""
    if isinstance(value, Holder):
        return changeable(value.numbers)
    if isinstance(value, dict):
        parts = list(cast("dict[object, object]", value).values())
    elif isinstance(value, list | tuple | set):
        parts = list(cast("Iterable[object]", value))
    else:
        return set()
    own = set[int]() if isinstance(value, tuple) else {id(cast(object, value))}
    return own.union(*map(changeable, parts))


def test_a_size_counts_what_is_within() -> None:
    text = "x" * 10_000
    for value in (text, [text], {"a": [text]}, (text,), {text}, {text: 1}):
        assert 10_000 < size_of(value) < 11_000
    assert size_of([text, text]) > 20_000


def test_what_was_sent_goes_before_the_defaults() -> None:
    bind = make_bind({"a": 1, "b": [2]}, [])
    assert bind({"a": 5}) == {"a": 5, "b": [2]}
    assert bind({"b": [3], "c": 4}) == {"a": 1, "b": [3], "c": 4}


def test_upcasters_from_the_version_on_are_applied_in_their_order() -> None:
    def step(mark: str) -> Upcaster:
        def mark_it(arguments: Keywords) -> Keywords:
            return {**arguments, "steps": f"{arguments.get('steps', '')}{mark}"}

        return mark_it

    upcasters = {7: step("7"), 2: step("2"), 3: step("3")}
    assert [len(steps_from(number, upcasters)) for number in (1, 2, 3, 4, 8)] == [3, 3, 2, 1, 0]
    bind = make_bind({"a": 1}, steps_from(3, upcasters))
    assert bind({"b": 2}) == {"a": 1, "b": 2, "steps": "37"}


def test_an_upcaster_that_returns_no_arguments_is_named() -> None:
    def forgets(arguments: Keywords) -> Keywords:
        arguments.clear()
        return None  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"upcaster .*forgets must return a dict of arguments, not NoneType"):
        make_bind({}, [forgets])({})


def test_what_was_written_for_another_version_is_checked() -> None:
    checker = compile_form(describe(Marked))
    late = make_bind_late(make_bind({"mark": "a"}, []), checker, {"mark": "a"})
    assert late({}) == {"mark": "a"}
    with pytest.raises(Mismatch, match="mark") as raised:
        late({"mark": 1})
    assert isinstance(raised.value.__cause__, InvalidArguments)
