"""Schemas that are pydantic models. Pydantic is never imported here: who has a model has imported it.

What a model gives to a form are its fields' names, annotations and whether they are required. Its own validators run
where the model is, after the form's check, on the whole arguments, and only to say no: what is sent stays what the
caller passed. So the form comes first: a model that would turn "5" into 5 accepts what the task then gets as a text.
After the form has accepted the types, pydantic's lax mode is right: its strict mode would refuse an Enum's value, which
is what arrives of its member.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard, cast

from tidemill.errors import InvalidArguments, InvalidInput
from tidemill.names import type_name
from tidemill.templates.schema.mismatch import cut, shown, shown_key

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo

# How much of what a model's validator says is told, in characters.
_SHOWN_MESSAGE_CHARS = 200


def is_model(cls: type) -> TypeGuard[type[BaseModel]]:
    """Whether a class is a pydantic model."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


def root_annotation(model: type[BaseModel]) -> object | None:
    """What a RootModel holds, which is what travels of it; None for other models."""
    return (
        _field_info(model)["root"].annotation
        if hasattr(model, "__pydantic_root_model__") and (model.__pydantic_root_model__)
        else None
    )


def names_of(model: type[BaseModel]) -> tuple[dict[str, object], frozenset[str], bool]:
    """Annotations by the names that it validates by, the required names, and whether it takes others too.

    Raises InvalidInput for aliases that are more than a name, and when its annotations can't be resolved.
    """
    by_name = {_name(model, name, field): field for name, field in _field_info(model).items()}
    return (
        {name: field.annotation for name, field in by_name.items()},
        frozenset(name for name, field in by_name.items() if field.is_required()),
        model.model_config.get("extra") == "allow",
    )


def _field_info(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    if not model.__pydantic_complete__:
        try:
            model.model_rebuild()
        except Exception as error:
            raise InvalidInput(f"schema {type_name(model)}: pydantic can't build it: {error}") from error
    return model.model_fields


def _name(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    config = cast("Mapping[str, object]", model.model_config)
    if field.validation_alias is None or config.get("validate_by_name") or config.get("populate_by_name"):
        return name
    if isinstance(field.validation_alias, str) and config.get("validate_by_alias") is not False:
        return field.validation_alias
    raise InvalidInput(
        f"schema {type_name(model)}: {name} has several aliases or a path as its alias, which can't be described: "
        "give it one name, or set validate_by_name"
    )


def validate(model: type[BaseModel], arguments: dict[str, object]) -> None:
    """Let the model's own validators look at whole arguments. Raises InvalidArguments with the first flaw's path."""
    from pydantic import ValidationError

    try:
        model.model_validate(arguments)
    except ValidationError as error:
        raise InvalidArguments(_told(error)) from None
    except Exception as error:  # what its validators raise, besides what pydantic expects of them
        problem = cut(f"{type(error).__name__}: {error}", _SHOWN_MESSAGE_CHARS)
        raise InvalidArguments(f"{type_name(model)} refused the arguments: {problem}") from error


def _told(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_context=False)
    path = "".join(_step(step) for step in first["loc"]).removeprefix(".") or error.title
    more = f" (and {len(others)} more)" if others else ""
    return f"{path}: {cut(first['msg'], _SHOWN_MESSAGE_CHARS)}, got {shown(first['input'])}{more}"


def _step(step: int | str) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{shown_key(step)}]"
