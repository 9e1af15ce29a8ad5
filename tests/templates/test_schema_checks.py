"""What a schema accepts, and how it says where something is wrong."""

from __future__ import annotations

import typing
from collections import abc
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import Any, Literal, TypedDict

import pytest

from tidemill import CorruptRecord, InvalidArguments, InvalidInput
from tidemill.templates.schema import Checker, Schema, compile_form, describe
from tidemill.wire.envelope import Codec, pack, unpack


class Color(StrEnum):
    RED = "red"
    GREEN = "green"


class Rights(IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Item:
    price: float
    tags: list[str] = field(default_factory=list[str])
    parent: Item | None = None


@dataclass
class SpecialItem(Item):
    note: str = ""


class Address(TypedDict, total=False):
    city: typing.Required[str]
    zip: int


class Delivery(Address):
    floor: typing.NotRequired[typing.Annotated[int, "from 0"]]
    name: str


Json = typing.Union[dict[str, "Json"], list["Json"], str, int, None]  # noqa: UP007  # an alias that contains itself


@dataclass
class Order:
    sku: str
    items: list[Item]
    color: Color = Color.RED
    rights: Rights = Rights.READ
    extra: Json = None
    to: Delivery | None = None
    pair: tuple[int, str] = (1, "")
    prices: abc.Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    kind: Literal["a", 1, None] = None
    seen: frozenset[int] = frozenset()
    at: datetime | None = None
    anything: Any = None
    computed: int = field(init=False, default=0)


SCHEMA = Schema(Order)
CHECKERS: list[Schema | Checker] = [SCHEMA, compile_form(unpack(pack(SCHEMA.form)))]
GIVEN: dict[str, object] = {"sku": "A1", "items": []}

WRONG: list[tuple[dict[str, object], str]] = [
    ({"items": [Item(1), Item(2), Item("x")]}, "items[2].price: expected a number, got str 'x'"),  # type: ignore[arg-type]
    ({"items": [Item(1, parent=Item(True))]}, "items[0].parent.price: expected a number, got bool True"),
    ({"items": [SpecialItem(1, ["a", None])]}, "items[0].tags[1]: expected a text, got None"),  # type: ignore[list-item]
    ({"items": [{"price": 1}]}, f"items[0]: expected a {__name__}.Item, got dict of 1"),
    ({"items": "x" * 10_000}, f"items: expected a list, got str '{'x' * 39}…"),
    ({"items": ()}, "items: expected a list, got tuple of 0"),
    ({"sku": 10**200}, "sku: expected a text, got int of 665 bits"),
    ({"color": "blue"}, "color: expected one of 'red', 'green', got str 'blue'"),
    ({"rights": True}, "rights: expected an integer, got bool True"),
    (
        {"extra": {"a": [1, {"b": 2.5}]}},
        "extra['a'][1]['b']: expected a dict or a list or a text or an integer or None, got float 2.5",
    ),
    ({"to": {"city": "Ulm"}}, "to.name: missing"),
    ({"to": {"city": "Ulm", "name": "x", "flor": 1}}, "to.flor: unknown name"),
    ({"to": {"city": "Ulm", "name": "x", "floor": "1"}}, "to.floor: expected an integer, got str '1'"),
    ({"to": {"city": "Ulm", "name": "x", "zip": None}}, "to.zip: expected an integer, got None"),
    ({"pair": (1, 2)}, "pair[1]: expected a text, got int 2"),
    ({"pair": (1, "a", 3)}, "pair: expected a tuple of 2, got tuple of 3"),
    ({"prices": {"a": 1.5}}, "prices['a']: expected a Decimal, got float 1.5"),
    ({"prices": {1: Decimal(1)}}, "prices.keys(): expected a text, got int 1"),
    ({"kind": True}, "kind: expected one of 'a', 1, None, got bool True"),
    ({"kind": []}, "kind: expected one of 'a', 1, None, got list of 0"),
    ({"seen": frozenset({b"x"})}, "seen{element}: expected an integer, got bytes b'x'"),
    ({"seen": set[int]()}, "seen: expected a frozenset, got set of 0"),
    ({"at": "2026-01-01"}, "at: expected a datetime or None, got str '2026-01-01'"),
    ({"computed": 1}, "computed: unknown name"),
    ({"y" * 5000: 1}, f"{'y' * 40}…: unknown name"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_path(arguments: dict[str, object], told: str) -> None:
    for checker in CHECKERS:
        with pytest.raises(InvalidArguments) as caught:
            checker.check({**GIVEN, **arguments})
        assert str(caught.value) == told


def test_what_fits_is_accepted_members_of_enums_and_their_values_alike() -> None:
    for checker in CHECKERS:
        checker.check(
            {
                "sku": "A1",
                "items": [Item(1), SpecialItem(2.5, ["a"], Item(3))],
                "color": Color.GREEN,
                "rights": Rights.READ | Rights.WRITE,
                "extra": {"a": [1, {"b": None}]},
                "to": {"city": "Ulm", "name": "x", "floor": 2},
                "pair": (1, "a"),
                "prices": {"a": Decimal("1.5")},
                "kind": 1,
                "seen": frozenset({1}),
                "at": datetime.now(UTC),
                "anything": object(),
            }
        )
        checker.check({**GIVEN, "color": "green"})


def test_a_name_without_a_default_is_given_by_the_call_or_by_the_template() -> None:
    for checker in CHECKERS:
        checker.check({"sku": "A1"}, {"items"})
        checker.check({}, {"items": [], "sku": "A1"})
        checker.check_defaults({"sku": "A1"})
        with pytest.raises(InvalidArguments, match=r"^sku: missing: neither the call nor the template's defaults have"):
            checker.check({}, ["items"])
        with pytest.raises(InvalidArguments, match=r"^sku: expected a text"):
            checker.check_defaults({"sku": 1})


def test_a_value_that_contains_itself_is_refused() -> None:
    around: list[object] = []
    around.append(around)
    for checker in CHECKERS:
        with pytest.raises(InvalidArguments, match="contains itself"):
            checker.check({**GIVEN, "extra": around})


def test_dataclasses_in_a_schema_can_be_sent() -> None:
    codec = Codec()
    describe(Order, codec)
    body = codec.encode_call((), {"items": [Item(1)]})
    assert codec.decode_call(body) == ([], {"items": [Item(1)]})


def test_the_same_type_gives_the_same_bytes() -> None:
    assert pack(describe(Order)) == pack(SCHEMA.form)


class Meters(float):
    pass


T = typing.TypeVar("T")


@dataclass
class Page(typing.Generic[T]):
    of: T


@dataclass
class Later:
    it: NotThere  # type: ignore[name-defined]  # noqa: F821


class Plain(TypedDict):
    it: complex


@dataclass
class Holder:
    it: Plain


def _nested(levels: int) -> object:
    made: Any = int
    for _ in range(levels):
        made = list[made]
    return made


UNDESCRIBABLE: list[tuple[object, str]] = [
    (complex, "it: complex can't be described: use None, bool"),
    (dict[str, list[complex]], r"it\[…\]\[…\]: complex can't"),
    (abc.Callable[[], int], "can't be described"),
    (T, "is generic"),
    (Page[int], "is generic"),
    (Meters, "Meters arrives as a plain float: say float"),
    (typing.NamedTuple("Pair", [("a", int)]), "Pair arrives as a plain tuple: say tuple"),
    (Holder, "it.it: complex can't"),
    (Later, "annotations can't be resolved .*NotThere.*: define or import"),
    (_nested(21), "nested in more than 20 levels"),
    (Literal[3.5], "3.5 can't be carried"),
    (tuple[tuple(typing.Literal[index] for index in range(5000))], "more than 4096 types"),  # type: ignore[misc]
]


@pytest.mark.parametrize(("annotation", "told"), UNDESCRIBABLE)
def test_what_cant_be_described_is_refused_with_its_path(annotation: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=f"^schema .*{told}"):
        describe(make_dataclass("Declared", [("it", annotation)]))


def test_only_types_with_names_are_schemas() -> None:
    for wrong in (int, dict, "x", list[int]):
        with pytest.raises(InvalidInput, match="is not a dataclass, a TypedDict or a pydantic model"):
            describe(wrong)  # type: ignore[arg-type]


HOSTILE: list[tuple[object, str]] = [
    (None, "its version"),
    ([True], "its version"),
    ([2, {}, []], "a newer Tidemill wrote"),
    ([1, "any", []], "its root is no record"),
    ([1, ["record", {"a": ["ref", 0]}, [], False], []], "no definition"),
    ([1, ["record", {"a": ["ref", True]}, [], False], ["any", "any"]], "no definition"),
    ([1, ["record", {"a": "complex"}, [], False], []], "unknown kind"),
    ([1, ["record", {"a": ["complex", 1]}, [], False], []], "unknown kind"),
    ([1, ["record", {"a": ["union", []]}, [], False], []], "a union of nothing"),
    ([1, ["record", {"a": ["literal", [1.5]]}, [], False], []], "a literal that"),
    ([1, ["record", {"a": ["list"]}, [], False], []], "a list of 1 parts"),
    ([1, ["record", {"a": ["map", {}, ["b"], False]}, [], False], []], "required name"),
    ([1, ["record", {"a": ["map", {}, [], 1]}, [], False], []], "a record that"),
    ([1, ["record", {"a": ["dataclass", 1, {}]}, [], False], []], "a dataclass that"),
    ([1, ["record", {"a": ["literal", list(range(5000))]}, [], False], []], "more than 4096"),
    ([1, ["record", {}, [], False], ["any"] * 5000], "more than 4096"),
]


@pytest.mark.parametrize(("form", "told"), HOSTILE)
def test_a_form_that_no_tidemill_wrote_is_refused(form: object, told: str) -> None:
    with pytest.raises(CorruptRecord, match=f"^a template's schema that can't be read: .*{told}"):
        compile_form(form)


def _form(node: object, *definitions: object) -> object:
    required: list[object] = []
    return [1, ["record", {"a": node}, required, False], list(definitions)]


def test_a_form_that_branches_without_end_is_given_up() -> None:
    endless = _form(["ref", 0], ["union", [["ref", 0], ["ref", 0]]])
    for form in (endless, _form(["ref", 0], *_twice(60), "none")):
        with pytest.raises(InvalidArguments, match="can't be checked"):
            compile_form(form).check({"a": 1})


def _twice(count: int) -> list[object]:
    return [["union", [["ref", index + 1], ["ref", index + 1]]] for index in range(count)]


def test_a_form_is_nested_as_deep_as_types_may_be_and_no_deeper() -> None:
    node: object = "int"
    for _ in range(30):
        node = ["list", node]
    with pytest.raises(CorruptRecord, match="nested in more than"):
        compile_form(_form(node))
