"""Schemas that are pydantic models: structure everywhere, their own validators where the model is."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from typing import Any

import pydantic
import pytest

from tidemill import InvalidArguments, InvalidInput
from tidemill.templates.schema import Schema, compile_form, describe
from tidemill.wire.envelope import pack, unpack


class Color(StrEnum):
    RED = "red"


class Line(pydantic.BaseModel):
    quantity: pydantic.PositiveInt
    note: str = pydantic.Field("", validation_alias="remark")


class Open(pydantic.BaseModel, extra="allow"):
    a: int


class Names(pydantic.RootModel[list[str]]):
    pass


class Order(pydantic.BaseModel):
    sku: str
    lines: list[Line] = []
    price: float = 0.0
    color: Color = Color.RED
    home: pydantic.HttpUrl | None = None
    names: Names | None = None
    more: Open | None = None
    before: Order | None = None

    @pydantic.field_validator("sku", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == "broken":
            raise KeyError(value)
        if value == "":
            raise ValueError("a SKU has letters")
        return value

    @pydantic.model_validator(mode="after")
    def _cheap(self) -> Order:
        if self.price > 100 and not self.lines:
            raise ValueError("what is dear has lines")
        return self


SCHEMA = Schema(Order)
FORM = compile_form(unpack(pack(SCHEMA.form)))

STRUCTURE: list[tuple[dict[str, object], str]] = [
    ({"price": "1.5"}, "price: expected a number, got str '1.5'"),
    ({"lines": [{"quantity": 1}, {"quantity": "2"}]}, "lines[1].quantity: expected an integer, got str '2'"),
    ({"lines": [{"quantity": 1, "note": ""}]}, "lines[0].note: unknown name"),
    ({"names": ["a", 1]}, "names[1]: expected a text, got int 1"),
    ({"more": {"b": 1}}, "more.a: missing"),
    ({"before": {"sku": "A1", "before": {"sku": 1}}}, "before.before.sku: expected a text, got int 1"),
    ({"skew": 1}, "skew: unknown name"),
]


@pytest.mark.parametrize(("arguments", "told"), STRUCTURE)
def test_its_structure_is_checked_everywhere(arguments: dict[str, object], told: str) -> None:
    for checker in (SCHEMA, FORM):
        with pytest.raises(InvalidArguments) as caught:
            checker.check({"sku": "A1", **arguments})
        assert str(caught.value) == told


JUDGED: list[tuple[dict[str, object], str]] = [
    ({"lines": [{"quantity": 1}, {"quantity": 0}]}, "lines[1].quantity: Input should be greater than 0, got int 0"),
    ({"sku": ""}, "sku: Value error, a SKU has letters, got str ''"),
    ({"home": "x"}, "home: Input should be a valid URL, relative URL without a base, got str 'x'"),
    ({"home": "x", "sku": ""}, "sku: Value error, a SKU has letters, got str '' (and 1 more)"),
    ({"price": 101}, "Order: Value error, what is dear has lines, got dict of 2"),
    ({"sku": "broken"}, f"{__name__}.Order refused the arguments: KeyError: 'broken'"),
]


@pytest.mark.parametrize(("arguments", "told"), JUDGED)
def test_its_own_validators_run_where_the_model_is(arguments: dict[str, object], told: str) -> None:
    FORM.check({"sku": "A1", **arguments})
    with pytest.raises(InvalidArguments) as caught:
        SCHEMA.check({"sku": "A1", **arguments})
    assert str(caught.value) == told


def test_what_is_sent_stays_what_the_caller_passed() -> None:
    sent: dict[str, object] = {"sku": "A1", "lines": [{"quantity": 1}], "home": "https://example.com", "color": "red"}
    before = repr(sent)
    SCHEMA.check(sent)
    assert repr(sent) == before


def test_validators_look_at_whole_arguments() -> None:
    defaults: dict[str, Any] = {"sku": "A1", "price": 101}
    SCHEMA.check({"lines": [{"quantity": 1}]}, defaults)
    with pytest.raises(InvalidArguments, match="what is dear has lines"):
        SCHEMA.check({"sku": "B2"}, defaults)
    SCHEMA.check({}, {"sku"})  # names alone are no whole arguments


def test_aliases_that_are_no_single_name_are_refused() -> None:
    class Aliased(pydantic.BaseModel):
        a: int = pydantic.Field(0, validation_alias=pydantic.AliasChoices("b", "c"))

    with pytest.raises(InvalidInput, match=r"Aliased: a has several aliases"):
        describe(Aliased)
    with pytest.raises(InvalidInput, match="is not a dataclass"):
        describe(Names)


def test_pydantic_is_not_imported_by_who_has_no_model() -> None:
    program = (
        "import sys; from dataclasses import make_dataclass; from tidemill.templates.schema import Schema;"
        "Schema(make_dataclass('A', [('a', int)])).check({'a': 1}); assert 'pydantic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
