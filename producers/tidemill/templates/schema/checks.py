"""Checks of values: one closure for each node of a form, made once and called for every job.

A check returns None, or the Mismatch that it found: unions try alternatives, which exceptions would make slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, cast
from uuid import UUID

from tidemill.names import type_name
from tidemill.templates.schema.forms import MAX_REF_LEVELS, MAX_STEPS
from tidemill.templates.schema.mismatch import Mismatch, TooMuch, cut, missing_name, shown_key, unknown_name

# How many alternatives a message lists.
_LISTED = 5

# How much of one alternative, or of a class's name, a message shows, in characters.
_SHOWN_CHARS = 60


class Walk:
    """How far one check has gone: bounds for values, and forms, without an end."""

    __slots__ = ("levels", "steps")

    def __init__(self) -> None:
        self.levels = 0
        self.steps = 0

    def step(self) -> None:
        """One more reference followed, or alternative tried. Raises TooMuch."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch(f"more than {MAX_STEPS} steps to check it")


Check = Callable[[object, Walk], Mismatch | None]

_ABSENT: Final = object()

EXPECTED: Final = {
    "any": "anything",
    "none": "None",
    "bool": "a bool",
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bytes": "bytes",
    "datetime": "a datetime",
    "date": "a date",
    "time": "a time",
    "timedelta": "a timedelta",
    "decimal": "a Decimal",
    "uuid": "a UUID",
    "list": "a list",
    "set": "a set",
    "frozenset": "a frozenset",
    "sequence": "a list or tuple",
    "collection": "a set",
    "tuples": "a tuple",
    "dict": "a dict",
    "map": "a dict",
}

_CLASSES: Final[dict[str, tuple[type, ...]]] = {
    "none": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bytes": (bytes, bytearray),
    "datetime": (datetime,),
    "date": (date,),
    "time": (time,),
    "timedelta": (timedelta,),
    "uuid": (UUID,),
    "list": (list,),
    "set": (set,),
    "frozenset": (frozenset,),
    "sequence": (list, tuple),
    "collection": (set, frozenset),
    "tuples": (tuple,),
}


def classes_of(kind: str) -> tuple[type, ...]:
    """The types that a scalar or a container accepts."""
    if kind == "decimal":
        from decimal import Decimal

        return (Decimal,)
    return _CLASSES[kind]


def anything(value: object, walk: Walk) -> Mismatch | None:
    """Accepts every value."""


def scalar(kind: str) -> Check:
    """Of one type and its subclasses; a bool is no number."""
    classes, expected = classes_of(kind), EXPECTED[kind]
    exact = classes[0]
    refused = () if kind == "bool" else bool

    def check(value: object, walk: Walk) -> Mismatch | None:
        if type(value) is not exact and (not isinstance(value, classes) or isinstance(value, refused)):
            return Mismatch(expected, value)
        return None

    return check


def elements(kind: str, inner: Check) -> Check:
    """A list, tuple or set whose elements all fit."""
    classes, expected = classes_of(kind), EXPECTED[kind]
    has_order = kind in {"list", "sequence", "tuples"}

    def check(value: object, walk: Walk) -> Mismatch | None:
        if not isinstance(value, classes):
            return Mismatch(expected, value)
        for index, element in enumerate(cast("Sequence[object]", value)):
            if (flaw := inner(element, walk)) is not None:
                return flaw.within(f"[{index}]" if has_order else "{element}")
        return None

    return check


def exact_tuple(inner: Sequence[Check]) -> Check:
    """A tuple of just these elements."""
    expected = f"a tuple of {len(inner)}"

    def check(value: object, walk: Walk) -> Mismatch | None:
        found = cast("tuple[object, ...]", value)
        if not isinstance(value, tuple) or len(found) != len(inner):
            return Mismatch(expected, found)
        for index, (element, fits) in enumerate(zip(found, inner, strict=True)):
            if (flaw := fits(element, walk)) is not None:
                return flaw.within(f"[{index}]")
        return None

    return check


def entries(of_key: Check, of_value: Check) -> Check:
    """A dict whose keys and values all fit."""
    expected = EXPECTED["dict"]

    def check(value: object, walk: Walk) -> Mismatch | None:
        if not isinstance(value, dict):
            return Mismatch(expected, value)
        for key, inner in cast("dict[object, object]", value).items():
            if (flaw := of_key(key, walk)) is not None:
                return flaw.within(".keys()")
            if (flaw := of_value(inner, walk)) is not None:
                return flaw.within(f"[{shown_key(key)}]")
        return None

    return check


def _as_carried(value: object) -> type | None:
    """The type as which a member of an Enum, or another subclass, travels; a bool has no subclass."""
    return next((cls for cls in (str, int, bytes) if isinstance(value, cls) and type(value) is not bool), None)


def literal(values: Sequence[object]) -> Check:
    """One of these values, of the same type: True is not 1."""
    allowed = frozenset((type(value), value) for value in values)
    expected = listed(values)

    def check(value: object, walk: Walk) -> Mismatch | None:
        if isinstance(value, bytearray):
            value = bytes(value)  # which arrives
        try:
            if (type(value), value) in allowed or (_as_carried(value), value) in allowed:
                return None
        except TypeError:  # a list, which has no hash, is none of them
            pass
        return Mismatch(expected, value)

    return check


def union(alternatives: Sequence[Check], exact: frozenset[type], expected: str) -> Check:
    """What one of these accepts. `exact` are types that need no second look."""

    def check(value: object, walk: Walk) -> Mismatch | None:
        if type(value) in exact:
            return None
        # The alternative that went furthest is the one that was meant; where none went in, it was none of them.
        furthest: Mismatch | None = None
        for fits in alternatives:
            walk.step()
            flaw = fits(value, walk)
            if flaw is None:
                return None
            if furthest is None or len(flaw.steps) > len(furthest.steps):
                furthest = flaw
        return furthest if furthest and furthest.steps else Mismatch(expected, value)

    return check


def reference(definitions: Sequence[Check], index: int) -> Check:
    """What a definition accepts, which may be compiled later than this."""

    def check(value: object, walk: Walk) -> Mismatch | None:
        walk.step()
        walk.levels += 1
        if walk.levels > MAX_REF_LEVELS:
            raise TooMuch(f"nested in more than {MAX_REF_LEVELS} levels, or contains itself")
        flaw = definitions[index](value, walk)
        walk.levels -= 1
        return flaw

    return check


def fields_of_dict(fields: Mapping[str, Check], required: frozenset[str], is_open: bool) -> Check:
    """A dict with these names."""
    expected, check_of = EXPECTED["map"], fields.get

    def check(value: object, walk: Walk) -> Mismatch | None:
        if not isinstance(value, dict):
            return Mismatch(expected, value)
        found = cast("dict[str, object]", value)
        for name, inner in found.items():
            fits = check_of(name)
            if fits is None:
                if is_open:
                    continue
                return unknown_name(name)
            if (flaw := fits(inner, walk)) is not None:
                return flaw.within(f".{name}")
        if not required <= found.keys():
            return missing_name(min(required - found.keys()))
        return None

    return check


def fields_of_instance(name: str, fields: Mapping[str, Check]) -> Check:
    """An instance of the dataclass that has this name on the wire, or of one derived from it.

    Fields that the class has no longer are not looked at: the instance was built by this process's class.
    """
    expected = cut(f"a {name}", _SHOWN_CHARS)
    accepted: list[type] = [type(None)]  # the class that was seen last: nearly always the only one

    def check(value: object, walk: Walk) -> Mismatch | None:
        cls = type(value)
        if cls is not accepted[0]:
            if all(type_name(base) != name for base in cls.__mro__):
                return Mismatch(expected, value)
            accepted[0] = cls
        for field, fits in fields.items():
            inner = getattr(value, field, _ABSENT)
            if inner is _ABSENT:
                continue
            if (flaw := fits(inner, walk)) is not None:
                return flaw.within(f".{field}")
        return None

    return check


def one_of(labels: Sequence[str]) -> str:
    """What a union expects, in words."""
    return " or ".join(_first(list(dict.fromkeys(labels))))


def listed(values: Sequence[object]) -> str:
    """What a literal expects, in words."""
    shown = _first([shown_key(value) if isinstance(value, str) else repr(value)[:_SHOWN_CHARS] for value in values])
    return f"one of {', '.join(shown)}" if len(values) > 1 else "".join(shown)


def _first(labels: Sequence[str]) -> list[str]:
    return [cut(label, _SHOWN_CHARS) for label in labels[:_LISTED]] + (["…"] if len(labels) > _LISTED else [])
