"""For generated types and values, a checker accepts exactly what the types say: an oracle reads the types themselves.

TIDEMILL_EXAMPLES=1000 looks for longer.
"""

from __future__ import annotations

import os
import typing
from collections import abc
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import NoneType
from typing import Annotated, Any, Literal, NotRequired, TypedDict, Union, cast
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill import InvalidArguments, errors
from tidemill.templates.schema import compile_form, describe
from tidemill.wire.envelope import Codec, pack, unpack

EXAMPLES = int(os.environ.get("TIDEMILL_EXAMPLES", "250"))


class Color(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Item:
    price: float
    tags: list[str] = field(default_factory=list[str])
    inner: Item | None = None


class Place(TypedDict):
    city: str
    floor: NotRequired[int]


Sku = typing.NewType("Sku", str)
CHOICES = ("a", 1, True, None, b"x")

FLAT: list[object] = [
    *(NoneType, bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID, Color, Level),
    *(Literal["a", 1, True, None, b"x"], Literal[0], Literal[1], Literal[Color.RED], Sku, Annotated[int, "units"]),
]
ORIGINS: dict[object, tuple[type, ...]] = {
    list: (list,),
    abc.Sequence: (list, tuple),
    set: (set,),
    frozenset: (frozenset,),
    abc.Set: (set, frozenset),
}


def _wider(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    generic: dict[str, Any] = {"list": list, "sequence": abc.Sequence, "dict": dict, "mapping": abc.Mapping}
    return st.one_of(
        inner.map(lambda a: generic["list"][a]),
        inner.map(lambda a: generic["sequence"][a]),
        inner.map(lambda a: tuple[a, ...]),  # type: ignore[valid-type]
        st.lists(inner, max_size=3).map(lambda a: cast("Any", tuple)[tuple(a)]),
        st.sampled_from(FLAT).map(lambda a: cast("Any", set)[a]),
        st.sampled_from(FLAT).map(lambda a: cast("Any", frozenset)[a]),
        st.sampled_from(FLAT).map(lambda a: cast("Any", abc.Set)[a]),
        st.tuples(st.sampled_from(FLAT), inner).map(lambda a: generic["dict"][a]),
        st.tuples(st.sampled_from(FLAT), inner).map(lambda a: generic["mapping"][a]),
        st.lists(inner, min_size=1, max_size=3).map(lambda a: cast("Any", Union)[tuple(a)]),
    )


# As many of each kind and depth: by itself a search prefers the widest.
RECORDS: list[object] = [Any, Item, Place]
LEAVES: st.SearchStrategy[object] = st.sampled_from([FLAT, RECORDS]).flatmap(st.sampled_from)
NESTED = _wider(LEAVES)
TYPES = st.sampled_from([LEAVES, NESTED, _wider(NESTED)]).flatmap(lambda types: types)

SCALARS: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(["a", "red", "", 0, 1, 2, True, False, None, b"x", b"", Color.RED, Level.HIGH, Level.LOW, 1.0]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)


def _items(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    made: st.SearchStrategy[object] = st.builds(cast("Any", Item), st.one_of(st.floats(0, 9), inner))
    return made


def _holding(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(SCALARS, max_size=3),
        st.frozensets(SCALARS, max_size=3),
        st.dictionaries(SCALARS, inner, max_size=3),
        st.fixed_dictionaries({"city": st.one_of(st.text(max_size=3), inner)}, optional={"floor": inner, "zip": inner}),
        _items(inner),
    )


VALUES = st.recursive(SCALARS, _holding, max_leaves=5)


MADE: dict[object, st.SearchStrategy[object]] = {
    Any: VALUES,
    Sku: st.just("a"),
    int: st.integers(-9, 9),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Decimal: st.decimals(allow_nan=False),
    Place: st.sampled_from([{"city": "Ulm"}, {"city": "Ulm", "floor": 2}, {"floor": 2}, {"city": 1}]),
    Item: st.sampled_from([Item(1), Item(2.5, ["a"], Item(3)), Item(1, inner=Item(True))]),
}


def _nearly(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """These, but for every eighth: so that a single part is wrong too."""
    return st.integers(0, 7).flatmap(lambda number: values if number else SCALARS)


def values_of(of: Any) -> st.SearchStrategy[object]:
    """Values that a type nearly always accepts, so that both answers are met."""
    origin, args = typing.get_origin(of), typing.get_args(of)
    if origin is None:
        return MADE[of] if of in MADE else st.from_type(of)
    if origin is Literal:
        return st.sampled_from(args)
    inner = [_nearly(values_of(one)) for one in args if one not in {..., "units"}]
    if origin in {Union, Annotated}:
        return st.one_of(inner)
    if origin is tuple:
        return st.lists(inner[0], max_size=2).map(tuple) if ... in args else st.tuples(*inner)
    if origin in ORIGINS:
        return st.lists(inner[0], max_size=2).map(cast("Any", ORIGINS[origin][-1]))
    return st.dictionaries(inner[0], inner[1], max_size=2)


def fits(value: Any, of: Any) -> bool:
    """What typing says, read from the type itself."""
    origin, args = typing.get_origin(of), typing.get_args(of)
    if origin is None:
        return _fits_class(value, of)
    if origin is Annotated:
        return fits(value, args[0])
    if origin in {Literal, Union}:
        return any((_same if origin is Literal else fits)(value, one) for one in args)
    if origin is tuple:
        return isinstance(value, tuple) and _fits_tuple(cast("tuple[object, ...]", value), args)
    if origin in ORIGINS:
        return isinstance(value, ORIGINS[origin]) and all(fits(one, args[0]) for one in value)  # type: ignore[attr-defined]
    return isinstance(value, dict) and all(
        fits(key, args[0]) and fits(inner, args[1]) for key, inner in cast("Any", value).items()
    )


def _fits_tuple(found: tuple[object, ...], args: tuple[object, ...]) -> bool:
    wanted = args[:1] * len(found) if ... in args else args
    return len(found) == len(wanted) and all(map(fits, found, wanted))


def _fits_class(value: Any, of: Any) -> bool:
    if of in {Any, Sku}:
        return of is Any or isinstance(value, str)
    if of is Place:
        return (
            isinstance(value, dict)
            and {"city"} <= cast("Any", value).keys() <= {"city", "floor"}
            and fits(value["city"], str)
            and fits(cast("Any", value).get("floor", 0), int)
        )
    if of is Item:
        return (
            isinstance(value, Item)
            and fits(value.price, float)
            and fits(value.tags, list[str])
            and fits(value.inner, Union[Item, None])  # noqa: UP007  # the origin that this oracle knows
        )
    if of in {Color, Level}:
        return any(_same(value, member) for member in of)
    if of in {int, float}:
        return isinstance(value, (int, of)) and not isinstance(value, bool)
    return isinstance(value, of)


def _same(value: object, member: object) -> bool:
    """Equal as what travels: an Enum's member as its value, and True is not 1."""
    kinds = [bool, int, str, bytes, NoneType]
    return value == member and next((k for k in kinds if isinstance(value, k)), 0) == next(
        k for k in kinds if isinstance(member, k)
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[object, object]:
    of, other = draw(TYPES), draw(TYPES)
    return of, draw(st.one_of(values_of(of), VALUES, values_of(other)))


def _accepts(form: object, value: object) -> bool:
    told = "it"
    try:
        compile_form(form).check({"it": value})
    except InvalidArguments as error:
        told = str(error)
    assert told.startswith("it")
    assert len(told) < 1000
    return told == "it"


@settings(max_examples=EXAMPLES, deadline=None)
@given(_cases())
def test_a_checker_accepts_exactly_what_the_type_says_before_and_after_the_wire(case: tuple[object, object]) -> None:
    of, value = case
    codec = Codec()
    codec.carry(Item)
    form = describe(make_dataclass("Generated", [("it", cast("Any", of))]))
    answer = fits(value, of)
    assert _accepts(form, value) == answer
    assert _accepts(unpack(pack(form)), value) == answer
    _, arrived = codec.decode_call(codec.encode_call((), {"it": value}))
    assert _accepts(form, arrived["it"]) == answer


def test_bare_containers_hold_anything() -> None:
    bare: list[Any] = [list, tuple, set, frozenset, dict, typing.List, typing.Tuple, typing.Dict]  # noqa: UP006
    for of in bare:
        form = describe(make_dataclass("Generated", [("it", of)]))
        empty: list[Any] = [list, tuple, set, frozenset, dict]
        made = [cls for cls in empty if _accepts(form, cls())]
        assert made == [typing.get_origin(of) or of]
    assert _accepts(describe(make_dataclass("Generated", [("it", tuple)])), (1, "a"))
    assert not _accepts(describe(make_dataclass("Generated", [("it", tuple[()])])), (1, "a"))


def test_no_flat_type_is_taken_for_another() -> None:
    values: list[object] = [*CHOICES, False, 0, 1.0, "red", "b", b"", datetime.now(UTC), date(2026, 1, 1), time()]
    values += [*Color, *Level, timedelta(), Decimal(1), UUID(int=1), [], {}, ()]
    for of in FLAT:
        form = describe(make_dataclass("Generated", [("it", cast("Any", of))]))
        for value in values:
            assert _accepts(form, value) == fits(value, of), (of, value)
        assert _accepts(form, bytearray(b"x")) == fits(b"x", of)  # which arrives


NODES = st.recursive(
    st.one_of(
        st.sampled_from(["any", "int", "str", "none", "decimal", "ref", "union", "list", "map", "nothing"]),
        st.integers(-1, 3),
        st.booleans(),
        st.none(),
        st.binary(max_size=2),
        st.floats(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(
            st.sampled_from(["list", "tuple", "union", "literal", "ref", "dict", "map", "dataclass", "record"]),
            inner,
        ).map(list),
        st.dictionaries(st.one_of(st.text(max_size=1), st.integers(0, 1)), inner, max_size=2),
        st.tuples(st.just(1), st.tuples(st.just("record"), inner, inner, inner).map(list), inner).map(list),
        st.tuples(
            st.just(1),
            st.tuples(st.just("record"), st.fixed_dictionaries({"it": inner}), st.just(list[str]()), st.booleans()).map(
                list
            ),
            st.lists(inner, max_size=3),
        ).map(list),
    ),
    max_leaves=12,
)


@settings(max_examples=4 * EXAMPLES, deadline=None)
@given(NODES, VALUES)
def test_whatever_a_form_is_it_is_compiled_or_refused_and_its_checker_answers(form: object, value: object) -> None:
    try:
        checker = compile_form(form)
    except errors.CorruptRecord:
        return
    try:
        checker.check({"it": value})
    except InvalidArguments:
        return


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), TYPES)
def test_damaged_bytes_of_a_form_give_a_checker_or_an_error(damage: bytes, at: int, of: object) -> None:
    packed = pack(describe(make_dataclass("Generated", [("it", cast("Any", of))])))
    at %= len(packed)
    try:
        compile_form(unpack(packed[:at] + damage + packed[at + len(damage) :]))
    except errors.CorruptRecord:
        return
