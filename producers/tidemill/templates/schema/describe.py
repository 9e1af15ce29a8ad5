"""Types to forms: what an application declares becomes what any process can check."""

from __future__ import annotations

import sys
import typing
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import Enum, IntFlag
from types import NoneType, UnionType
from typing import Final, NoReturn
from uuid import UUID

from tidemill.errors import InvalidInput
from tidemill.names import type_name
from tidemill.templates.schema import pydantic_models
from tidemill.templates.schema.forms import MAX_NODES, MAX_TYPE_LEVELS, VERSION
from tidemill.templates.schema.mismatch import cut
from tidemill.templates.schema.records import Record, evaluate, is_qualifier, record_of, unresolved
from tidemill.wire.envelope import Codec, pack
from tidemill.wire.extensions import plain

_SCALARS: Final[dict[object, str]] = {
    typing.Any: "any",
    object: "any",
    None: "none",
    NoneType: "none",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
    bytearray: "bytes",
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "timedelta",
    UUID: "uuid",
}

# By what typing.get_origin gives, which for typing.List too is list.
_CONTAINERS: Final[dict[object, str]] = {
    list: "list",
    abc.MutableSequence: "list",
    abc.Sequence: "sequence",
    set: "set",
    abc.MutableSet: "set",
    frozenset: "frozenset",
    abc.Set: "collection",
}
_MAPPINGS: Final[frozenset[object]] = frozenset({dict, abc.Mapping, abc.MutableMapping})
# Whose subclasses travel as these.
_SUBCLASSED: Final[frozenset[object]] = frozenset({str, int, float, bytes, tuple, list, dict, set, frozenset})

_WHAT_TO_DO: Final = (
    "use None, bool, int, float, str, bytes, a date or time, Decimal, UUID, list, tuple, set, frozenset, dict, "
    "Literal, a union, a str or int Enum, a dataclass, a TypedDict or a pydantic model of these, or Any"
)

# How much of an annotation a message shows, in characters.
_SHOWN_TYPE_CHARS = 60


def describe(schema: type, codec: Codec | None = None) -> object:
    """The form of a dataclass, a TypedDict or a pydantic model, whose names are a template's arguments.

    `codec`, where given, is told of the dataclasses in it, so that their instances can be sent and read.
    Raises InvalidInput, with the path, for what can't be described.
    """
    record = record_of(schema)
    if record is None or (isinstance(schema, type) and _root_of(schema) is not None):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
        raise InvalidInput(
            f"schema {cut(repr(schema), _SHOWN_TYPE_CHARS)} is not a dataclass, a TypedDict or a pydantic model: "
            "its names are the arguments"
        )
    describing = _Describing(codec)
    root: list[object] = ["record", *describing.record(schema, record, _Place(type_name(schema), ""))]
    form = [VERSION, root, describing.definitions]
    try:
        pack(form)
    except InvalidInput as error:
        raise InvalidInput(f"schema {type_name(schema)} can't be described: {error}") from error
    return form


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an annotation stands: in which schema, on which path from it, in whose module, how deep."""

    schema: str
    path: str
    owner: type | None = None
    is_validated: bool = False
    levels: int = 0

    def within(self, step: str) -> _Place:
        place = replace(self, path=f"{self.path}{step}".removeprefix("."), levels=self.levels + 1)
        if place.levels > MAX_TYPE_LEVELS:
            place.refuse(f"nested in more than {MAX_TYPE_LEVELS} levels: give a part of it a name, as a TypedDict")
        return place

    def refuse(self, problem: str) -> NoReturn:
        raise InvalidInput(f"schema {self.schema}: {self.path}: {problem}")


class _Describing:
    """One schema that is being described, with the definitions that were met so far."""

    def __init__(self, codec: Codec | None) -> None:
        self.definitions: list[object] = []
        self._codec = codec
        self._known: dict[object, int] = {}
        self._nodes = 0

    def record(self, cls: type, record: Record, place: _Place) -> list[object]:
        """Fields, required names and whether it is open, as a form has them."""
        inner = replace(place, owner=cls, is_validated=record.is_validated, levels=0)
        fields: dict[str, object] = {
            name: self.node(annotation, inner.within(f".{name}"))
            for name, annotation in sorted(record.annotations.items())
        }
        return [fields, sorted(record.required), record.is_open]

    def node(self, annotation: object, place: _Place) -> object:
        """What stands for an annotation."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            place.refuse(f"the schema is made of more than {MAX_NODES} types: use Any for its parts")
        annotation = _bare(annotation)
        if not _is_hashable(annotation):
            return self._unknown(annotation, place)
        if (scalar := _SCALARS.get(annotation) or _decimal(annotation)) is not None:
            return scalar
        if isinstance(annotation, (str, typing.ForwardRef)):
            return self._forward(annotation, place)
        origin = typing.get_origin(annotation) or annotation
        if origin in _CONTAINERS or origin in _MAPPINGS or origin is tuple:
            is_bare_tuple = annotation is tuple or annotation is typing.Tuple  # noqa: UP006  # and not tuple[()]
            args = (typing.Any, ...) if is_bare_tuple else typing.get_args(annotation)
            return self._container(origin, args, place)
        if _is_class(annotation) and origin is annotation:
            return self._class(annotation, place)
        return self._special(annotation, origin, place)

    def _class(self, cls: type, place: _Place) -> object:
        if _is_enum(cls):
            return _of_enum(cls, place)
        if (root := _root_of(cls)) is not None:
            return self._named(cls, lambda: self.node(root, replace(place, owner=cls, is_validated=True, levels=0)))
        record = record_of(cls)
        if record is None:
            return self._unknown(cls, place)
        if _is_dict(cls) or record.is_validated:
            return self._named(cls, lambda: ["map", *self.record(cls, record, place)])
        if self._codec is not None:
            self._codec.carry(cls)
        return self._named(cls, lambda: ["dataclass", type_name(cls), self.record(cls, record, place)[0]])

    def _special(self, annotation: object, origin: object, place: _Place) -> object:
        args = typing.get_args(annotation)
        if type(annotation).__name__ == "TypeAliasType":
            return self._named(annotation, lambda: self.node(_value_of(annotation, place), replace(place, levels=0)))
        if origin is typing.Union or origin is UnionType:
            return self._union(args, place)
        if origin is typing.Literal:
            return ["literal", [_literal_value(value, place) for value in args]]
        return self._unknown(annotation, place)

    def _container(self, origin: object, args: tuple[object, ...], place: _Place) -> object:
        if origin is tuple:
            return self._tuple(args, place)
        if origin in _MAPPINGS:
            key, value = args or (typing.Any, typing.Any)
            return ["dict", self.node(key, place.within(".keys()")), self.node(value, place.within("[…]"))]
        (element,) = args or (typing.Any,)
        return [_CONTAINERS[origin], self.node(element, place.within("[…]"))]

    def _tuple(self, args: tuple[object, ...], place: _Place) -> object:
        if len(args) == 2 and args[1] is ...:
            return ["tuples", self.node(args[0], place.within("[…]"))]
        return ["tuple", [self.node(inner, place.within(f"[{index}]")) for index, inner in enumerate(args)]]

    def _union(self, args: tuple[object, ...], place: _Place) -> object:
        nodes: list[object] = []
        for inner in args:
            node = self.node(inner, place.within(""))
            nodes += [node] if node not in nodes else []
        return nodes[0] if len(nodes) == 1 else ["union", nodes]

    def _forward(self, annotation: str | typing.ForwardRef, place: _Place) -> object:
        """A name that was not resolved with the rest: an alias that contains itself."""
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        owner = place.owner

        def made() -> object:
            try:
                target = evaluate(text, owner)
            except Exception as error:
                raise unresolved(f"{place.schema}: {place.path}", error) from error
            return self.node(target, replace(place, levels=0))

        return self._named((owner.__module__ if owner else "", text), made)

    def _named(self, key: object, make: Callable[[], object]) -> object:
        """A reference to a definition, which is made when it is met first; it may refer to itself."""
        index = self._known.get(key)
        if index is None:
            index = self._known[key] = len(self.definitions)
            self.definitions.append(None)
            self.definitions[index] = make()
        return ["ref", index]

    def _unknown(self, annotation: object, place: _Place) -> object:
        return "any" if place.is_validated else _refuse(annotation, place)  # a model's own validators know the type


def _refuse(annotation: object, place: _Place) -> NoReturn:
    if isinstance(annotation, typing.TypeVar) or record_of(typing.get_origin(annotation)) is not None:
        place.refuse(f"{_shown(annotation)} is generic, which can't be described: define a class with the types in it")
    if (base := _built_in_of(annotation)) is not None:
        place.refuse(f"{_shown(annotation)} arrives as a plain {base}: say {base}")
    place.refuse(f"{_shown(annotation)} can't be described: {_WHAT_TO_DO}")


def _built_in_of(annotation: object) -> str | None:
    """The built-in as which a subclass of it travels."""
    bases = annotation.__mro__ if _is_class(annotation) else ()
    return next((cls.__name__ for cls in bases if cls in _SUBCLASSED), None)


def _bare(annotation: object) -> object:
    """Without Annotated, Required and the like, and NewType."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated or is_qualifier(origin):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def _root_of(cls: type) -> object | None:
    return pydantic_models.root_annotation(cls) if pydantic_models.is_model(cls) else None


def _of_enum(cls: type[Enum], place: _Place) -> object:
    if IntFlag in cls.__mro__:
        return "int"
    members = [_literal_value(member, place) for member in cls]
    return ["literal", members] if members else place.refuse(f"{cls.__name__} has no members")


def _literal_value(value: object, place: _Place) -> object:
    arrives = value if isinstance(value, bool) else plain(value)
    if arrives is not None and type(arrives) not in {bool, int, str, bytes}:
        place.refuse(f"{_shown(value)} can't be carried: derive its Enum from StrEnum or IntEnum")
    return arrives


def _value_of(alias: object, place: _Place) -> object:
    try:
        return getattr(alias, "__value__")  # noqa: B009  # of a class that Python 3.11 does not have
    except Exception as error:  # evaluated now
        raise unresolved(f"{place.schema}: {place.path}", error) from error


def _decimal(annotation: object) -> str | None:
    decimal = sys.modules.get("decimal")  # who has a Decimal has imported it
    return "decimal" if decimal is not None and annotation is decimal.Decimal else None


def _is_class(annotation: object) -> typing.TypeGuard[type]:
    return isinstance(annotation, type)


def _is_enum(cls: type) -> typing.TypeGuard[type[Enum]]:
    return issubclass(cls, Enum)


def _is_dict(cls: type) -> bool:
    return issubclass(cls, dict)


def _is_hashable(annotation: object) -> bool:
    return type(annotation).__hash__ is not None


def _shown(annotation: object) -> str:
    return cut(type_name(annotation) if _is_class(annotation) else repr(annotation), _SHOWN_TYPE_CHARS)
