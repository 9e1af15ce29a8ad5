"""Copies of default arguments: no job may see what another one has changed.

What can't be changed is shared. For the rest a copier is made once per version, so that a job pays only for the lists,
maps and sets that there are: no type is asked for again.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

Copier = Callable[[], object]

# What a codec can carry and nobody can change; `datetime` is a `date`, and `bool` an `int`.
_IMMUTABLE: Final = (int, float, str, bytes, type(None), date, time, timedelta, timezone, Decimal, UUID, Enum, complex)
_COPY_ROW: Final = dict[object, object].copy


def copier(value: object) -> Copier | None:
    """What makes a copy of the value, as deep as it can be changed; None: it can be shared."""
    if isinstance(value, _IMMUTABLE):
        return None
    kind = type(value)
    if kind is dict:
        return _map_copier(cast("dict[object, object]", value))
    if kind is list:
        return _list_copier(cast("list[object]", value))
    if kind is tuple or kind is frozenset:
        parts = list(cast("Iterable[object]", value))
    elif _is_frozen(value):
        parts = [getattr(value, part.name) for part in fields(cast(Any, value))]
    else:
        return partial(copy.deepcopy, value)
    return None if all(copier(part) is None for part in parts) else partial(copy.deepcopy, value)


def _map_copier(value: dict[object, object]) -> Copier:
    """A shallow copy, in which what can be changed is replaced."""
    parts = [(key, make) for key, part in value.items() if (make := copier(part)) is not None]
    if not parts:
        return value.copy

    def copied() -> object:
        made = value.copy()
        for key, make in parts:
            made[key] = make()
        return made

    return copied


def _list_copier(value: list[object]) -> Copier:
    parts = [(place, make) for place, part in enumerate(value) if (make := copier(part)) is not None]
    if not parts:
        return value.copy
    if all(map(_is_row, value)):  # a table, as lists of settings often are: one call into C for each row
        rows = cast("list[dict[object, object]]", value)
        return lambda: [*map(_COPY_ROW, rows)]

    def copied() -> object:
        made = value.copy()
        for place, make in parts:
            made[place] = make()
        return made

    return copied


def _is_row(value: object) -> bool:
    """A dict of values that can be shared."""
    return type(value) is dict and all(copier(part) is None for part in cast("dict[object, object]", value).values())


def _is_frozen(value: object) -> bool:
    return is_dataclass(value) and bool(getattr(type(value), "__dataclass_params__").frozen)  # noqa: B009 - not public


def size_of(value: object) -> int:
    """The bytes in memory of a value and all that it holds; what is held twice counts twice."""
    size = sys.getsizeof(value)
    if isinstance(value, Mapping):
        for key, part in cast("Mapping[object, object]", value).items():
            size += size_of(key) + size_of(part)
    elif isinstance(value, list | tuple | set | frozenset):
        size += sum(map(size_of, cast("Iterable[object]", value)))
    elif is_dataclass(value) and not isinstance(value, type):
        size += sum(size_of(getattr(value, part.name)) for part in fields(value))
    return size
