"""What may be sent: round trips, and the errors that name the path of what may not."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidInput, PayloadTooLarge, UnserializableValue
from tidemill.names import module_name, type_name
from tidemill.wire.envelope import Codec, pack, unpack
from wire.carried_values import (
    BERLIN,
    Fruit,
    Level,
    Lossy,
    Opaque,
    Options,
    Page,
    Pair,
    Place,
    Point,
    Route,
    Slotted,
    Text,
)

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers


EXACT: tuple[object, ...] = (
    *(None, True, False, 0, -1, 2**64 - 1, -(2**63), 1.5, -0.0, math.inf, "", "tide", "🌊", b"", b"\x00\xff"),
    *([], {}, [1, [2, [3]]], {"a": {"b": None}}, {1: "x", b"y": 2, None: 3, 1.5: 4, False: 5}),
    *(
        (),
        (1,),
        (1, (2, [3, (4,)])),
        set[int](),
        {1, "a", (2, 3)},
        frozenset({1}),
        {frozenset({1}), frozenset({2})},
    ),
    *(date.min, date.max, date(2026, 2, 28), time(1, 2, 3, 4), time(1, 2, tzinfo=UTC), time.max),
    *(timedelta.min, timedelta.max, timedelta(microseconds=-1), timedelta(days=3, seconds=2, microseconds=1)),
    *(Decimal("1.500"), Decimal("-0"), Decimal("Infinity"), Decimal("1E+999999"), Decimal("0." + "3" * 200)),
    *(UUID(int=0), UUID(int=2**128 - 1)),
    datetime(2026, 7, 1, 12, tzinfo=UTC),
    datetime(2026, 7, 1, 12, 30, 1, 999999, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    datetime(1883, 11, 18, 12, tzinfo=timezone(timedelta(hours=-4, minutes=-56, seconds=-2))),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=23, minutes=59))),
    *(
        Point(1, 2),
        Route("a", [Point(3, 4)]),
        Page([Point(1)]),
        Page([Page[int]([])]),
        Slotted(point=Point(1)),
    ),
    {Point(1): UUID(int=1), (1, 2): Decimal(1), date(2026, 1, 1): "x"},
    [Point(n) for n in range(300)],
)


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_its_type(codec: Codec, value: object) -> None:
    back = codec.decode_result(codec.encode_result(value))
    assert back == value
    assert type(back) is type(value)
    if type(value) not in (set, frozenset):  # whose order may differ
        assert repr(back) == repr(value), "equal values of other types, as 1 and True, and -0.0"
    assert codec.decode_call(codec.encode_call((value, 1), {"it": value})) == ([value, 1], {"it": value})


SUBCLASSES: list[tuple[object, object]] = [
    *((Fruit.PEAR, "pear"), (Level.HIGH, 3), (Text("x"), "x"), (Pair(1, "a"), (1, "a"))),
    *((OrderedDict([("a", 1)]), {"a": 1}), (bytearray(b"x"), b"x"), (memoryview(b"x"), b"x")),
]


@pytest.mark.parametrize(("value", "plain"), SUBCLASSES, ids=lambda value: type(value).__name__)
def test_a_subclass_of_a_built_in_travels_as_the_built_in(codec: Codec, value: object, plain: object) -> None:
    back = codec.decode_result(codec.encode_result(value))
    assert back == plain
    assert type(back) is type(plain)


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("wall", ["2026-03-29T02:30", "2026-10-25T02:30", "2026-07-01T12:00", "1890-01-01T00:00"])
def test_a_zoned_datetime_keeps_its_zone_wall_time_and_offset(codec: Codec, wall: str, fold: int) -> None:
    value = datetime.fromisoformat(wall).replace(tzinfo=BERLIN, fold=fold)
    back = codec.decode_result(codec.encode_result(value))
    assert isinstance(back, datetime)
    assert back.tzinfo is BERLIN
    assert (back.isoformat(), back.utcoffset()) == (value.isoformat(), value.utcoffset())
    assert back.astimezone(UTC) == value.astimezone(UTC)


def test_nan_comes_back_as_nan(codec: Codec) -> None:
    back = codec.decode_result(codec.encode_result([math.nan, Decimal("NaN"), Decimal("sNaN")]))
    assert repr(back) == "[nan, Decimal('NaN'), Decimal('sNaN')]"


hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.timezones())
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.builds(Point, st.integers(-9, 9), st.integers(-9, 9)),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
values = st.recursive(
    hashables | st.sets(hashables, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(hashables, inner, max_size=5)
        | st.builds(Page[object], st.lists(inner, max_size=3))
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(values, max_size=3), st.dictionaries(st.text(), values, max_size=3))
def test_any_call_comes_back_as_it_was_sent(args: list[object], kwargs: dict[str, object]) -> None:
    codec = Codec()
    codec.carry(Point)
    codec.carry(Page)
    assert codec.decode_call(codec.encode_call(tuple(args), kwargs)) == (args, kwargs)


def test_the_dataclasses_that_annotations_reach_are_registered() -> None:
    def task(
        a: OnlyForTypeCheckers,
        b: dict[str, list[Route]] | None,
        c: Callable[[Page[int]], Place],
        d: Options,
        *rest: Slotted,
    ) -> OnlyForTypeCheckers:
        raise NotImplementedError

    codec = Codec()
    codec.carry_annotations(task)
    everything = [Route("r", [Point(1)]), Page([1]), Slotted(), Point(2)]
    assert codec.decode_result(codec.encode_result(everything)) == everything


FUNCTIONS: list[Callable[..., object]] = [print, len, Opaque, int, "".join]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_function_without_usable_annotations_registers_nothing(function: Callable[..., object]) -> None:
    codec = Codec()
    codec.carry_annotations(function)
    with pytest.raises(UnserializableValue, match="is not registered"):
        codec.encode_result(Point(1))


def test_only_dataclasses_that_can_be_built_again_are_registered(codec: Codec) -> None:
    with pytest.raises(InvalidInput, match="Opaque'> is not a dataclass"):
        codec.carry(Opaque)
    with pytest.raises(InvalidInput, match=r"Lossy can't be carried: InitVar 'secret' can't be read back"):
        codec.carry(Lossy)
    assert codec.carry(Point) is Point


def test_a_reloaded_dataclass_replaces_the_old_one() -> None:
    def define() -> type:
        @dataclass
        class Local:
            x: int = 0

        return Local

    codec, old, new = Codec(), define(), define()
    codec.carry(old)
    codec.carry(new)
    assert type(codec.decode_result(codec.encode_result(old()))) is new


def test_threads_and_reentrant_values_do_not_mix_up_their_bytes(codec: Codec) -> None:
    @dataclass
    class Recursive:
        x: int = 1

        def __getattribute__(self, name: str) -> object:
            if name == "x":
                assert codec.decode_result(codec.encode_result((1, Point(2)))) == (1, Point(2))
            return object.__getattribute__(self, name)

    codec.carry(Recursive)
    wrong: list[object] = []

    def work(start: int) -> None:
        for number in range(start, start + 200):
            sent = ([number, (number,)], Recursive(number), "x" * number)
            if codec.decode_call(codec.encode_call(sent, {})) != (list(sent), {}):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not wrong


def test_internal_maps_take_messagepack_types_only() -> None:
    fields = {
        "state": "ready",
        "attempt": 3,
        "body": b"\x00",
        "ids": ["a", None, True, 1.5],
        "more": {"a": 1},
    }
    assert unpack(pack(fields)) == fields
    with pytest.raises(UnserializableValue, match=r"map\['x'\]: tuple has no place in an internal map"):
        pack({"x": (1,)})
    with pytest.raises(PayloadTooLarge, match="map is 300"):
        pack("x" * 300 * 1024)


SCRIPT = """
from dataclasses import dataclass
from tidemill.names import module_name, type_name
from tidemill.wire.envelope import Codec
@dataclass
class Point:
    x: int = 1
codec = Codec()
codec.carry(Point)
print(module_name(Point.__module__), type_name(Point), type_name(int), codec.encode_result(Point()), sep=";")
"""


def test_a_started_script_has_the_name_that_a_worker_imports(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "app.py").write_text(SCRIPT)
    expected = {"app": ["app.py"], "shop.app": ["-m", "shop.app"], "__main__": ["-c", SCRIPT]}
    for name, command in expected.items():
        where = package if name == "app" else tmp_path
        ran = subprocess.run([sys.executable, *command], cwd=where, capture_output=True, text=True, check=True)
        seen_module, seen_name, built_in, sent = ran.stdout.split(";", 3)
        assert (seen_module, seen_name, built_in) == (name, f"{name}.Point", "int")
        assert f"{name}.Point" in sent
    assert module_name("tidemill.errors") == "tidemill.errors"
    assert type_name(Point) == f"{Point.__module__}.Point"


def test_the_codec_imports_neither_decimal_nor_zoneinfo() -> None:
    code = "import sys, tidemill.wire.envelope; print({'decimal', 'zoneinfo'} & sys.modules.keys())"
    # Coverage, which follows subprocesses by this variable, imports decimal itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "set()\n"
