"""The names of a dataclass, a TypedDict or a pydantic model, with their annotations."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass

from tidemill.errors import InvalidInput
from tidemill.names import type_name
from tidemill.templates.schema import pydantic_models

_QUALIFIERS: typing.Final[frozenset[object]] = frozenset({typing.Required, typing.NotRequired, typing.Final})


@dataclass(frozen=True, slots=True)
class Record:
    """What a type says of its names. `is_validated`: code of its own looks at the values too."""

    annotations: Mapping[str, object]
    required: frozenset[str]
    is_open: bool = False
    is_validated: bool = False


def is_typed_dict(cls: object) -> typing.TypeGuard[type]:
    """Whether a class is a TypedDict of typing, or of typing_extensions, which has one of its own on older Pythons."""
    return isinstance(cls, type) and dict in cls.__mro__ and hasattr(cls, "__required_keys__")


def record_of(cls: object) -> Record | None:
    """The names of a dataclass, a TypedDict or a pydantic model; None for any other type.

    Raises InvalidInput when its annotations can't be resolved.
    """
    if not isinstance(cls, type):
        return None
    if pydantic_models.is_model(cls):
        return Record(*pydantic_models.names_of(cls), is_validated=True)
    if is_typed_dict(cls):
        return _of_typed_dict(cls)
    return _of_dataclass(cls) if is_dataclass(cls) else None


def _of_dataclass(cls: type) -> Record:
    hints = _hints(cls)
    sent = [field for field in fields(cls) if field.init]
    for name, hint in hints.items():
        if type(hint).__name__ == "InitVar":
            raise InvalidInput(
                f"schema {type_name(cls)}: {name} is an InitVar, which can't be described: make it a field"
            )
    return Record(
        annotations={field.name: hints[field.name] for field in sent},
        required=frozenset(
            field.name for field in sent if field.default is MISSING and field.default_factory is MISSING
        ),
    )


def _of_typed_dict(cls: type) -> Record:
    hints = _hints(cls)
    # Right for names without a qualifier: by `total` of the class that has them. Qualifiers that were text then, as
    # under `from __future__ import annotations`, are looked at here.
    by_class: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    required = {name for name, hint in hints.items() if _required_by_qualifier(hint, default=name in by_class)}
    return Record(annotations=hints, required=frozenset(required))


def _required_by_qualifier(hint: object, *, default: bool) -> bool:
    """Whether Required or NotRequired says so, inside Annotated and ReadOnly too."""
    origin = typing.get_origin(hint)
    if origin is typing.Required or origin is typing.NotRequired:
        return origin is typing.Required
    if origin is typing.Annotated or is_qualifier(origin):
        return _required_by_qualifier(typing.get_args(hint)[0], default=default)
    return default


def is_qualifier(origin: object) -> bool:
    """Whether this is Required, NotRequired, ReadOnly or Final: said of a name, not of its values."""
    return origin in _QUALIFIERS or str(origin) in {"typing.ReadOnly", "typing_extensions.ReadOnly"}


def _hints(cls: type) -> dict[str, object]:
    # Its own name as well, so that a class inside a function may contain itself.
    try:
        return dict(typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True))
    except Exception as error:
        raise unresolved(type_name(cls), error) from error


def unresolved(owner: str, error: Exception) -> InvalidInput:
    """The error for annotations that can't be evaluated: they may be any expression, and raise anything."""
    return InvalidInput(
        f"schema {owner}: its annotations can't be resolved ({type(error).__name__}: {error}): "
        "define or import their types at the top of its module, and not only under TYPE_CHECKING"
    )


def evaluate(text: str, cls: type | None) -> object:
    """A forward reference, as the module of `cls` reads it."""
    module = sys.modules.get(cls.__module__) if cls is not None else None

    def holder() -> None: ...

    holder.__annotations__ = {"it": text}
    resolve: Callable[..., dict[str, object]] = typing.get_type_hints
    return resolve(holder, vars(module) if module else {}, {cls.__name__: cls} if cls else None, include_extras=True)[
        "it"
    ]
