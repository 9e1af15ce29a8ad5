"""What can not be sent is refused, with its path and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from fractions import Fraction

import pytest

from tidemill.errors import PayloadTooLarge, UnserializableValue
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec
from wire.carried_values import BERLIN, Colour, Huge, NotRegistered, Opaque, Page, Point, Route

pytestmark = pytest.mark.once


def endless() -> list[object]:
    inner: list[object] = []
    inner.append(inner)
    return inner


def nested(levels: int, wrap: Callable[[object], object], core: object = None) -> object:
    for _ in range(levels):
        core = wrap(core)
    return core


WRAPS: list[Callable[[object], object]] = [
    *(lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,), lambda inner: Page([inner])),
    lambda inner: frozenset({inner}),
]


TZ_HINT = "pass an aware one, as datetime.now(UTC), or say what it means with .replace(tzinfo=...)"


NO_WAY = "can't be carried: pass a dict, a dataclass, or an id to load it by"


AS_BYTES = "send bytes, as os.fsencode() makes them"


REGISTER = "annotate the task's parameter with it, or decorate it with @mill.carry"


REFUSED: list[tuple[object, str]] = [
    (Page[int]([], datetime(2026, 1, 1)), f".when: datetime needs tz: {TZ_HINT}"),  # noqa: DTZ001  # the point
    (2**70, ": int 1180591620717411303424 does not fit 64 bits"),
    (-(2**63) - 1, ": int -9223372036854775809 does not fit 64 bits"),
    (10**5000, ": int of 16610 bits does not fit 64 bits"),
    ({"a": [1, 2, 3, 2**64]}, "['a'][3]: int 18446744073709551616 does not fit 64 bits"),
    ({"k" * 50: 2**64}, f"['{'k' * 39}…]: int 18446744073709551616 does not fit 64 bits"),
    ({2**64: 1}, ".keys(): int 18446744073709551616 does not fit 64 bits"),
    ((1, {Fraction(1)}), f"[1]{{element}}: fractions.Fraction {NO_WAY}"),
    (Route("a", [Point(1), Point(2**64)]), ".stops[1].x: int 18446744073709551616 does not fit 64 bits"),
    (Huge.ONE, ": int 18446744073709551616 does not fit 64 bits"),
    (
        memoryview(b"abcd")[::2],
        ": memoryview can't be carried: memoryview: underlying buffer is not C-contiguous",
    ),
    (Opaque(), f": {Opaque.__module__}.Opaque {NO_WAY}"),
    (Opaque, f": type {NO_WAY}"),
    (Point, f": type {NO_WAY}"),
    (print, f": builtin_function_or_method {NO_WAY}"),
    (range(3), f": range {NO_WAY}"),
    (Colour.RED, f": enum member {Opaque.__module__}.Colour.RED can't be carried: send its .value"),
    ([NotRegistered()], f"[0]: dataclass {Opaque.__module__}.NotRegistered is not registered: {REGISTER}"),
    (time(1, tzinfo=BERLIN), ": time has a zone whose offset depends on the date: pass a datetime"),
    (
        "a\ud800",
        f": str has a lone surrogate at index 1, which UTF-8 can't hold: {AS_BYTES}",
    ),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_carried_is_named_by_its_path(codec: Codec, value: object, message: str) -> None:
    with pytest.raises(UnserializableValue) as refused:
        codec.encode_result({"fine": 1, "it": value})
    assert str(refused.value) == "result['it']" + message
    with pytest.raises(UnserializableValue) as refused:
        codec.encode_call((1, value), {})
    assert str(refused.value) == "args[1]" + message
    with pytest.raises(UnserializableValue) as refused:
        codec.encode_call((), {"size": value})
    assert str(refused.value) == "size" + message
    assert codec.encode_call((1,), {}) == b"\x92\x91\x01\x80", "a refusal leaves the codec usable"


def test_a_structure_that_contains_itself_is_refused_with_the_start_of_its_path(codec: Codec) -> None:
    with pytest.raises(UnserializableValue) as refused:
        codec.encode_call((endless(),), {})
    path = ("args[0]" + "[0]" * 64)[:60]
    assert str(refused.value) == f"{path}…: nested in more than 64 levels, or contains itself"


@pytest.mark.parametrize("wrap", WRAPS)
def test_64_levels_are_carried_and_65_are_refused(codec: Codec, wrap: Callable[[object], object]) -> None:
    levels = 32 if isinstance(wrap(None), Page) else 64  # a Page is one level, its list another
    fits = nested(levels, wrap)
    assert codec.decode_call(codec.encode_call((fits,), {"a": fits})) == ([fits], {"a": fits})
    assert codec.decode_result(codec.encode_result(fits)) == fits
    with pytest.raises(UnserializableValue, match="nested in more than 64 levels"):
        codec.encode_result(nested(levels + 1, wrap))
    with pytest.raises(UnserializableValue, match="nested in more than 64 levels"):
        codec.encode_call((nested(levels + 1, wrap),), {})
    with pytest.raises(UnserializableValue, match="nested in more than 64 levels"):
        codec.encode_call((nested(5000, wrap),) if wrap is not WRAPS[4] else (endless(),), {})


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, ValueError, OSError])
def test_a_value_that_fails_while_it_is_packed_is_refused_with_its_reason(codec: Codec, error: type[Exception]) -> None:
    @dataclass
    class Broken:
        x: int = 1

        def __getattribute__(self, name: str) -> object:
            if name == "x":
                raise error("no x today")
            return object.__getattribute__(self, name)

    codec.carry(Broken)
    with pytest.raises(UnserializableValue, match="result can't be carried: no x today") as refused:
        codec.encode_result([Broken()])
    assert isinstance(refused.value.__cause__, error), "the traceback leads to the value's own code"


@pytest.mark.parametrize(
    ("size_bytes", "message"),
    [
        (300 * 1024 - 8, "300.0 KiB, over the limit of 256.0 KiB"),
        (MAX_PAYLOAD_BYTES, "262152 bytes, over the limit of 262144 bytes"),
    ],
)
def test_a_payload_over_the_limit_is_refused_with_both_sizes(codec: Codec, size_bytes: int, message: str) -> None:
    with pytest.raises(PayloadTooLarge) as refused:
        codec.encode_call(("x" * size_bytes,), {})
    assert str(refused.value) == f"arguments are {message}: send a reference (a path, a key, a URL) instead"


def test_the_limit_itself_fits_and_is_a_setting() -> None:
    codec = Codec(max_payload_bytes=100)
    assert len(codec.encode_result(b"x" * 98)) == 100
    with pytest.raises(PayloadTooLarge, match="result is 101 bytes, over the limit of 100 bytes"):
        codec.encode_result(b"x" * 99)
