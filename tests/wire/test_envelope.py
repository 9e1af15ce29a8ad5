"""What may be sent: round trips, and the errors that name the path of what may not."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidInput, PayloadTooLarge, UnserializableValue
from tidemill.names import module_name, type_name
from tidemill.wire.envelope import MAX_PAYLOAD_BYTES, Codec, pack, unpack

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

BERLIN = ZoneInfo("Europe/Berlin")
T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass
class Route:
    name: str
    stops: list[Point] = field(default_factory=list[Point])
    length: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.length = math.dist((0, 0), (self.stops[-1].x, self.stops[-1].y)) if self.stops else 0.0


@dataclass
class Page(Generic[T]):
    items: list[T]
    when: datetime | None = None


@dataclass(kw_only=True, slots=True)
class Slotted:
    point: Point | None = None


@dataclass
class NotRegistered:
    x: int = 0


@dataclass
class Lossy:
    secret: InitVar[str]


class Fruit(StrEnum):
    PEAR = "pear"


class Level(IntEnum):
    HIGH = 3


class Huge(IntEnum):
    ONE = 2**64


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


class Text(str):
    __slots__ = ()


class Options(TypedDict):
    where: Point


class Opaque:
    pass


Place = NewType("Place", Point)


@pytest.fixture
def codec() -> Codec:
    codec = Codec()
    for cls in (Point, Route, Page, Slotted):
        codec.carry(cls)
    return codec


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
    (Opaque(), f": {__name__}.Opaque {NO_WAY}"),
    (Opaque, f": type {NO_WAY}"),
    (Point, f": type {NO_WAY}"),
    (print, f": builtin_function_or_method {NO_WAY}"),
    (range(3), f": range {NO_WAY}"),
    (Colour.RED, f": enum member {__name__}.Colour.RED can't be carried: send its .value"),
    ([NotRegistered()], f"[0]: dataclass {__name__}.NotRegistered is not registered: {REGISTER}"),
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
    assert type_name(Point) == f"{__name__}.Point"


def test_the_codec_imports_neither_decimal_nor_zoneinfo() -> None:
    code = "import sys, tidemill.wire.envelope; print({'decimal', 'zoneinfo'} & sys.modules.keys())"
    # Coverage, which follows subprocesses by this variable, imports decimal itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "set()\n"
