"""Bodies that were built to hurt: damaged, spliced, nested and swollen ones are decoded or refused, within bounds."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import CorruptRecord, PayloadTooLarge
from tidemill.wire.bounds import MAX_PARTS
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec, pack, unpack
from tidemill.wire.extensions import DATACLASS, DATE, DECIMAL, FROZENSET, SET, TIMEDELTA, TUPLE, UUID_BYTES

pytestmark = pytest.mark.once

# What is read of a whole body may take: a list of small numbers, at 36 bytes for each of its 262,144, takes the most.
MAX_PEAK_BYTES = 48 * MAX_PAYLOAD_BYTES


@dataclass
class Point:
    x: object
    y: object = None


def codec() -> Codec:
    made = Codec()
    made.carry(Point)
    return made


def ext(code: int, payload: bytes) -> bytes:
    fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}.get(len(payload))
    head = struct.pack(">BIb", 0xC9, len(payload), code) if fixed is None else struct.pack(">Bb", fixed, code)
    return head + payload


def array(count: int, items: bytes) -> bytes:
    return struct.pack(">BI", 0xDD, count) + items


def swollen(item: bytes) -> bytes:
    """A list of as many items as fit into a body."""
    count = (MAX_PAYLOAD_BYTES - 5) // len(item)
    return array(count, item * count)


def fate(decode: Callable[[bytes], object], data: bytes) -> str:
    """ "decoded" or "refused"; any exception but CorruptRecord leaves, and so does memory beyond the bound."""
    tracemalloc.start()
    try:
        decode(data)
    except CorruptRecord as error:
        assert str(error)  # noqa: PT017 - any reason will do, any other exception will not
        return "refused"
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes <= MAX_PEAK_BYTES
    return "decoded"


SWOLLEN = {
    "small numbers": (b"\x01", "decoded"),
    "numbers below zero": (b"\xe0", "decoded"),
    "texts": (b"\xa2ab", "decoded"),
    "empty lists": (b"\x90", "refused"),
    "empty maps": (b"\x80", "refused"),
    "maps of one": (b"\x81\x01\x02", "refused"),
    "lists in lists": (b"\x91\x91\x91\x90", "refused"),
    "decimals": (ext(DECIMAL, b"1"), "refused"),
    "dates": (ext(DATE, b"2026-01-01"), "refused"),
    "timedeltas": (ext(TIMEDELTA, bytes(12)), "refused"),
    "uuids": (ext(UUID_BYTES, bytes(16)), "refused"),
    "tuples": (ext(TUPLE, b"\x90"), "refused"),
    "sets": (ext(SET, b"\x91\x01"), "refused"),
    "frozensets of tuples": (ext(FROZENSET, b"\x91" + ext(TUPLE, b"\x90")), "refused"),
    "dataclasses": (ext(DATACLASS, pack([f"{__name__}.Point", {"x": 1}])), "refused"),
    "timestamps of MessagePack's own": (b"\xd6\xff\x00\x00\x00\x01", "refused"),
    "extensions of others": (ext(99, b"1"), "refused"),
}


@pytest.mark.parametrize("name", SWOLLEN)
def test_a_whole_body_of_one_kind_is_decoded_or_refused_within_bounds(name: str) -> None:
    item, expected = SWOLLEN[name]
    assert fate(codec().decode_result, swollen(item)) == expected
    assert fate(codec().decode_result, ext(TUPLE, swollen(item)[: MAX_PAYLOAD_BYTES - 6])) == "refused"


ITEMS: list[tuple[object, int]] = [
    ([], 1),
    ({}, 1),
    ((), 2),
    (date(2026, 1, 1), 1),
    (Decimal(1), 1),
    ([["x"]], 2),
    (Point(1), 3),
    ({"a": UUID(int=1)}, 2),
]


@pytest.mark.parametrize(("item", "parts"), ITEMS, ids=repr)
def test_as_many_parts_as_may_be_sent_may_be_read_and_one_more_may_be_neither(item: object, parts: int) -> None:
    most = (MAX_PARTS - 1) // parts  # the list that they stand in is one as well
    whole = [item] * most
    data = codec().encode_result(whole)
    assert codec().decode_result(data) == whole
    with pytest.raises(PayloadTooLarge, match="result is made of more than 10000 lists, maps, dates"):
        codec().encode_result([item] * (most + 1))


def test_what_was_not_encoded_here_is_refused_by_the_same_count() -> None:
    assert codec().decode_result(array(MAX_PARTS - 1, b"\x90" * (MAX_PARTS - 1))) == [[]] * (MAX_PARTS - 1)
    with pytest.raises(CorruptRecord, match="result can't be read: made of more than 10000 lists, maps"):
        codec().decode_result(array(MAX_PARTS, b"\x90" * MAX_PARTS))
    with pytest.raises(CorruptRecord, match="made of more than 10000"):
        unpack(array(MAX_PARTS, b"\x90" * MAX_PARTS))


def test_much_text_or_binary_data_is_no_structure() -> None:
    """In most languages half the bytes of UTF-8 look like the start of a list or map."""
    for value in ("Приливная мельница " * 7_000, bytes(range(256)) * 1_000, [0x90] * 80_000):
        assert codec().decode_result(codec().encode_result(value)) == value


WHEN = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.sampled_from([WHEN, WHEN.astimezone(UTC), date(2026, 2, 28), timedelta(1), Decimal("1.50"), UUID(int=7)]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.sets(st.integers(), max_size=4).filter(lambda items: all(abs(item) < 2**63 for item in items)),
        st.builds(Point, inner, inner),
    ),
    max_leaves=12,
)
DAMAGE = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "repeat"]), st.integers(0), st.binary(max_size=6))
)


def damaged(data: bytes, damage: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, noise in damage:
        at = place % (len(data) + 1)
        if kind == "flip" and data:
            at %= len(data)
            data = data[:at] + bytes([data[at] ^ 1 << place % 8]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + noise + data[at:]
        elif kind == "repeat":
            data = (data[:at] + data[at:] * 9)[:MAX_PAYLOAD_BYTES]
    return data


@settings(max_examples=400, deadline=None)
@given(VALUES, VALUES, DAMAGE, st.integers(0), st.integers(0))
def test_damaged_and_spliced_bodies_are_decoded_or_refused(
    one: object, two: object, damage: list[tuple[str, int, bytes]], cut: int, joint: int
) -> None:
    made = codec()
    first, second = made.encode_call((one,), {"k": two}), made.encode_call((two, one), {})
    spliced = first[: cut % len(first)] + second[joint % len(second) :]
    for data in (damaged(first, damage), damaged(spliced, damage), spliced):
        for decode in (made.decode_call, made.decode_result, unpack):
            assert fate(decode, data) in ("decoded", "refused")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\x91", b"\x81\x01", b"\xdc\x00\x02\xc0", b"\xc7\x7f\x20", b"\xd4\x20", b"\xde\x00\x01\x00"]),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 60_000),
    st.binary(max_size=40),
)
def test_nested_bombs_are_decoded_or_refused(openers: list[bytes], times: int, core: bytes) -> None:
    data = (b"".join(openers) * times)[: MAX_PAYLOAD_BYTES - 40] + core
    for decode in (codec().decode_call, codec().decode_result, unpack):
        assert fate(decode, data) in ("decoded", "refused")


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=64), st.integers(1, 300_000))
def test_noise_of_any_size_is_decoded_or_refused(noise: bytes, size: int) -> None:
    data = (noise * (size // len(noise) + 1))[:size]
    for decode in (codec().decode_call, codec().decode_result, unpack):
        assert fate(decode, data) in ("decoded", "refused")


def every_encoding() -> list[tuple[bytes, object]]:
    """MessagePack's forms of one value: each must be read, since other languages' libraries choose others."""
    numbers = [
        (struct.pack(f">B{form}", first, number), number)
        for first, form, samples in (
            (0xCC, "B", (0, 1, 127, 255)),
            (0xCD, "H", (0, 1, 65_535)),
            (0xCE, "I", (0, 2**32 - 1)),
            (0xCF, "Q", (0, 2**63, 2**64 - 1)),
            (0xD0, "b", (0, -1, -128, 127)),
            (0xD1, "h", (0, -1, -(2**15))),
            (0xD2, "i", (0, -1, -(2**31))),
            (0xD3, "q", (0, -1, -(2**63))),
            (0xCA, "f", (0.5, -1.0)),
            (0xCB, "d", (0.5, -1.5e300)),
        )
        for number in samples
    ]
    lengths = (("B", 0xD9, 0xC4), ("H", 0xDA, 0xC5), ("I", 0xDB, 0xC6))
    texts = [(struct.pack(f">B{form}", text, 2) + b"ab", "ab") for form, text, _ in lengths]
    data = [(struct.pack(f">B{form}", binary, 2) + b"ab", b"ab") for form, _, binary in lengths]
    lists = [(head + b"\x01\x02", [1, 2]) for head in (b"\x92", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02")]
    maps = [(head + b"\x01\x02", {1: 2}) for head in (b"\x81", b"\xde\x00\x01", b"\xdf\x00\x00\x00\x01")]
    plain = [(b"\xc0", None), (b"\xc2", False), (b"\xc3", True), (b"\x7f", 127), (b"\xe0", -32), (b"\xa2ab", "ab")]
    return [*numbers, *texts, *data, *lists, *maps, *plain]


@pytest.mark.parametrize(("data", "value"), every_encoding(), ids=lambda part: repr(part)[:24])
def test_a_value_is_read_in_every_form_that_messagepack_has(data: bytes, value: object) -> None:
    found = codec().decode_result(data)
    assert (found, type(found)) == (value, type(value))
    for end in range(len(data)):
        with pytest.raises(CorruptRecord):
            codec().decode_result(data[:end])


def test_who_lets_larger_bodies_through_lets_more_parts_through() -> None:
    rows = [[number] for number in range(3 * MAX_PARTS)]
    with pytest.raises(PayloadTooLarge, match="more than 10000 lists"):
        codec().encode_result(rows)
    larger = Codec(max_payload_bytes=4 * MAX_PAYLOAD_BYTES)
    assert larger.decode_result(larger.encode_result(rows)) == rows
    with pytest.raises(PayloadTooLarge, match="more than 40000 lists"):
        larger.encode_result(rows + rows)
