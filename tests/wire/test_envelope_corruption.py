"""What may arrive: any bytes give a value or CorruptRecord, in bounded time and memory."""

from __future__ import annotations

import json
import random
import struct
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import CorruptRecord
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec, pack, unpack

pytestmark = pytest.mark.once

# MessagePack's own conformance cases, kept beside the checkout.
CORPUS = Path(__file__).parents[3] / "shared" / "data" / "codec" / "msgpack-test-suite.json"

# CPU time, whatever else the machine does: far above what a decode takes, far below what an unbounded one would.
DECODE_DEADLINE_S = 5.0


@dataclass
class Order:
    id: int
    lines: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        if self.id == 0:
            raise ZeroDivisionError("id is 0")


@pytest.fixture
def codec() -> Codec:
    codec = Codec()
    codec.carry(Order)
    return codec


def ext(code: int, payload: bytes) -> bytes:
    return struct.pack(">BIb", 0xC9, len(payload), code) + payload


def sent_as(name: object, fields: object) -> bytes:
    return ext(35, pack([name, fields]))


NAME = f"{__name__}.Order"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Unpack failed: incomplete input"),
        (b"\xc1", r"not MessagePack \(FormatError\)"),
        (b"\x01\x02", "extra data"),
        (b"\xa1\xff", "utf-8"),
        (b"\x81\x90\x01", "unhashable"),
        (b"\xdf\xff\xff\xff\xff", "exceeds max_map_len"),
        (b"\x91" * 65 + b"\x00", "nested in more than 64 levels"),
        (b"\x91" * 2000 + b"\x00", "nested in more than 64 levels"),
        (b"\xd6\xff\x00\x00\x00\x00", "extension type -1"),
        (b"\x81\x01\x91\xc7\x0c\xff" + bytes(12), "extension type -1"),
        (ext(32, b"\x91\xd6\xff" + bytes(4)), "extension type -1"),
        (ext(99, b""), "extension type 99 is not one of Tidemill's"),
        (ext(16, b"2026-01-01T00:00:00"), "a datetime without its offset"),
        (ext(16, b"yesterday"), "Invalid isoformat"),
        (ext(16, b"2026-01-01T00:00:00+00:00[../../etc/passwd]"), "is not the name of a time zone"),
        (ext(16, b"2026-01-01T00:00:00+00:00[Europe/Atlantis]"), "time zone Europe/Atlantis is not known"),
        (ext(16, b"2026-01-01T00:00:00+00:00[Europe]"), "time zone Europe is not known"),
        (ext(17, b"2026-02-30"), "day is out of range"),
        (ext(18, b"25:00"), "hour must be in"),
        (ext(19, b"1"), "a timedelta of 1 bytes instead of 12"),
        (ext(20, b"1,5"), "ConversionSyntax"),
        (ext(21, b"short"), "16-char string"),
        (ext(32, b"\x80"), "extension type 32 does not hold an array"),
        (ext(33, b"\x91\x90"), "unhashable"),
        (ext(33, b"\xdc\x00\x40" + b"\x01" * 64), "collide or repeat"),
        (sent_as("os.system", {"command": "true"}), "dataclass 'os.system' is not registered here: annotate"),
        (sent_as(NAME, {"id": 1, "extra": 2}), "has no field 'extra' here"),
        (sent_as(NAME, {"lines": []}), "came without its field 'id'"),
        (sent_as(NAME, {"id": 0}), "refused its fields: ZeroDivisionError: id is 0"),
        (sent_as(NAME, {1: 2}), "not a name and a map of its fields"),
        (sent_as(1, {}), "not a name and a map of its fields"),
        (ext(35, b"\x91\xa1x"), "not a name and a map of its fields"),
    ],
)
def test_what_no_tidemill_wrote_is_refused_with_a_reason(codec: Codec, data: bytes, reason: str) -> None:
    with pytest.raises(CorruptRecord, match=reason) as refused:
        codec.decode_result(data)
    assert str(refused.value).startswith("result can't be read: ")


@pytest.mark.parametrize("call", [1, [], [[]], [{}, []], [[], {}, 1], [[], {1: 2}], {"args": []}])
def test_a_body_that_is_no_call_is_refused(codec: Codec, call: object) -> None:
    with pytest.raises(CorruptRecord, match="not a list of args and a map of kwargs"):
        codec.decode_call(pack(call))


def test_an_element_whose_hash_raises_is_refused() -> None:
    @dataclass
    class Unhashable:
        x: int = 1

        def __hash__(self) -> int:
            raise OSError("no hash today")

    codec = Codec()
    codec.carry(Unhashable)
    element = codec.encode_result(Unhashable())
    with pytest.raises(CorruptRecord, match="result can't be read: no hash today"):
        codec.decode_result(ext(33, b"\x91" + element))


def test_a_field_that_an_older_producer_did_not_send_takes_its_default(codec: Codec) -> None:
    assert codec.decode_result(sent_as(NAME, {"id": 7})) == Order(7, [])


def test_more_than_the_limit_is_refused_unread(codec: Codec) -> None:
    with pytest.raises(CorruptRecord, match=r"result can't be read: 300\.0 KiB, over the limit of 256\.0 KiB"):
        codec.decode_result(bytes(300 * 1024))


def test_internal_maps_hold_no_extensions(codec: Codec) -> None:
    with pytest.raises(CorruptRecord, match="extension type 32 has no place in an internal map"):
        unpack(codec.encode_result((1,)))


def array_bomb(header: bytes, size_bytes: int) -> bytes:
    return (header * 1000)[:size_bytes].ljust(size_bytes, b"\xc0")


def extension_bomb() -> bytes:
    payload = bytes(MAX_PAYLOAD_BYTES - 10_000)
    data = b"\x91" + struct.pack(">BI", 0xC6, len(payload)) + payload
    for _ in range(1000):
        data = ext(32, b"\x91" + data)
    return data


def colliding_decimals(as_keys: bool) -> bytes:
    prime = 2**61 - 1  # numbers that differ by this have the same hash
    items = [ext(20, str(prime * number + 1).encode()) for number in range(1, 8500)]
    if as_keys:
        return struct.pack(">BI", 0xDF, len(items)) + b"".join(item + b"\x00" for item in items)
    return ext(33, struct.pack(">BI", 0xDD, len(items)) + b"".join(items))


WHOLE = MAX_PAYLOAD_BYTES
BOMBS = {
    "arrays that each claim the whole": (array_bomb(b"\xdd\x00\x03\xff\x00", WHOLE), "incomplete input"),
    "small arrays": (array_bomb(b"\xdc\x1f\x00", 8000), "incomplete input"),
    "arrays of a size that is not checked first": (array_bomb(b"\xdc\x03\x00", 1024), "incomplete input"),
    "a tuple of arrays": (ext(32, array_bomb(b"\xdd\x00\x03\xf0\x00", WHOLE - 100)), "incomplete input"),
    "extensions within extensions": (extension_bomb(), "nested in more than 64 levels"),
    "depth alone": (b"\x91" * WHOLE, "nested in more than 64 levels"),
    "keys with one hash": (colliding_decimals(as_keys=True), "collide or repeat"),
    "elements with one hash": (colliding_decimals(as_keys=False), "collide or repeat"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_without_memory(codec: Codec, name: str) -> None:
    data, reason = BOMBS[name]
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(CorruptRecord, match=reason):
            codec.decode_result(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < DECODE_DEADLINE_S
    assert peak_bytes < 100 * MAX_PAYLOAD_BYTES


def decoded_or_corrupt(codec: Codec, data: bytes) -> None:
    for decode in (codec.decode_call, codec.decode_result, unpack):
        try:
            decode(data)
        except CorruptRecord as error:
            assert str(error)  # noqa: PT017  # any reason will do, any other exception will not


def test_damaged_bodies_are_decoded_or_refused(codec: Codec) -> None:
    from datetime import UTC, datetime, timedelta
    from decimal import Decimal
    from uuid import UUID
    from zoneinfo import ZoneInfo

    when = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    args = (
        1,
        "x",
        (Order(1, ["a"]), {1, 2}),
        when,
        timedelta(1),
        Decimal("1.5"),
        UUID(int=5),
        [when.astimezone(UTC)],
    )
    body = codec.encode_call(args, {"size": {b"k": 1.5, (1, 2): frozenset({3})}})
    dice = random.Random(20261121)
    for end in range(len(body)):
        decoded_or_corrupt(codec, body[:end])
    for position in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[position // 8] ^= 1 << position % 8
        decoded_or_corrupt(codec, bytes(flipped))
    for _ in range(5000):
        damaged = bytearray(body)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        decoded_or_corrupt(codec, bytes(damaged))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 255), st.integers(-128, 127))
def test_random_bytes_are_decoded_or_refused(noise: bytes, first: int, code: int) -> None:
    codec = Codec()
    codec.carry(Order)
    decoded_or_corrupt(codec, noise)
    decoded_or_corrupt(codec, bytes([first]) + noise)
    decoded_or_corrupt(codec, b"\x92\x91" + ext(code, noise) + b"\x80")


def corpus_cases() -> list[tuple[str, dict[str, object]]]:
    if not CORPUS.exists():
        return []
    groups = cast("dict[str, list[dict[str, object]]]", json.loads(CORPUS.read_text()))
    return [(f"{name}#{index}", case) for name, cases in groups.items() for index, case in enumerate(cases)]


def expected_value(case: dict[str, object]) -> object:
    if "binary" in case:
        return bytes.fromhex(str(case["binary"]).replace("-", ""))
    if "bignum" in case:
        return int(str(case["bignum"]))
    return next(value for key, value in case.items() if key != "msgpack")


@pytest.mark.skipif(not CORPUS.exists(), reason=f"the MessagePack corpus is not at {CORPUS}")
def test_the_corpus_is_read_in_every_encoding_and_its_extensions_are_refused(codec: Codec) -> None:
    cases = corpus_cases()
    assert len(cases) > 80
    for name, case in cases:
        for encoding in cast("list[str]", case["msgpack"]):
            data = bytes.fromhex(encoding.replace("-", ""))
            if "timestamp" in case or "ext" in case:
                code = -1 if "timestamp" in case else cast("list[int]", case["ext"])[0]
                with pytest.raises(CorruptRecord, match=f"extension type {code}"):
                    codec.decode_result(data)
            else:
                assert codec.decode_result(data) == expected_value(case), (name, encoding)
                assert codec.decode_result(codec.encode_result(expected_value(case))) == expected_value(case)
