"""What is left out of a job is what its worker puts in again; and what a task takes is found out fast."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.task import Definition
from tidemill.templates.content import Content, digest_of, encode_defaults
from tidemill.templates.loaded import Loaded, names_of
from tidemill.wire.canonical import canonical
from tidemill.wire.envelope import Codec
from tidemill.wire.templating import Version

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, float("nan"), Decimal("1.0"), Decimal("1"), "", "a", b"a", date(2026, 1, 1)])
    | st.sampled_from([timedelta(1), datetime(2026, 1, 1, tzinfo=UTC)])
)
VALUES = SCALARS | st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        | st.frozensets(st.integers(0, 3), max_size=3)
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["sku", "depth", "region", "tags"]), VALUES, max_size=4)
CODEC = Codec()


def canonical_value(value: object) -> bytes:
    """The same bytes for the same value: 1, 1.0 and True differ, and so do 0.0 and -0.0; a NaN is as another."""
    return canonical(CODEC.encode_result(value))


def loaded_of(defaults: dict[str, object]) -> Loaded:
    content = Content("t", encode_defaults(CODEC, defaults))
    return Loaded("stock", Version(1, digest_of(content.pack())), content, CODEC)


@given(ARGUMENTS, ARGUMENTS)
def test_the_difference_over_the_defaults_is_what_was_said_over_the_defaults(
    defaults: dict[str, object], sent: dict[str, object]
) -> None:
    loaded = loaded_of(defaults)

    body = CODEC.encode_call((), loaded.difference(sent))

    arrived = {**loaded.defaults, **CODEC.decode_call(body)[1]}
    wanted = {**defaults, **sent}
    assert arrived.keys() == wanted.keys()
    assert all(canonical_value(arrived[name]) == canonical_value(wanted[name]) for name in wanted)


@given(ARGUMENTS)
def test_what_is_as_the_defaults_is_left_out(defaults: dict[str, object]) -> None:
    loaded = loaded_of(defaults)

    assert loaded.difference(dict(loaded.defaults)) == {}


def plain(sku: str, depth: int = 1) -> None: ...
def by_name(*, sku: str, region: str = "eu") -> None: ...
def anything(sku: str, **more: object) -> None: ...
def by_place(sku: str, /, depth: int = 1) -> None: ...
def many(*sku: str, depth: int) -> None: ...


@pytest.mark.parametrize("function", [plain, by_name, anything, by_place, many])
@given(
    st.dictionaries(st.sampled_from(["sku", "depth", "region"]), st.just(1), max_size=2),
    st.dictionaries(st.sampled_from(["sku", "depth", "region", "colour"]), st.just(2), max_size=3),
)
def test_a_call_that_seems_to_fit_can_be_made(
    function: Callable[..., Any], defaults: dict[str, object], sent: dict[str, object]
) -> None:
    names = names_of(Definition("t", function, "q"), defaults)
    try:
        inspect.signature(function).bind(**{**defaults, **sent})
    except TypeError:
        assert not names.fit(sent)
    else:
        # What seems not to fit is looked at by the task itself.
        assert names.fit(sent) or function is by_place
