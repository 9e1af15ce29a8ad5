"""Finds which part of a value can't be carried, after packing the whole has failed.

Packing is one call into C that knows no paths. So only a failure pays for this walk, which goes through the
value in the same order and packs the leaves one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import cast

from tidemill.errors import UnserializableValue
from tidemill.names import type_name
from tidemill.wire.bounds import MAX_DEPTH_LEVELS, TOO_DEEP, is_container
from tidemill.wire.carried import CarriedTypes, unregistered
from tidemill.wire.extensions import refusal

# How much of a map's key is shown in a path, in characters.
_SHOWN_KEY_CHARS = 40

# How much of the path to a value that is nested too deep is shown, in characters.
_SHOWN_PATH_CHARS = 60


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Names the first part that can't be carried; `pack_leaf` raises for what has no form on the wire.

    Without a registry only lists and maps hold parts.
    """

    carried: CarriedTypes | None
    pack_leaf: Callable[[object], object]

    def refuse(self, parts: Iterable[tuple[str, object]], limit_levels: int = MAX_DEPTH_LEVELS) -> None:
        """Raise UnserializableValue for the first flaw in `parts`, which are pairs of path and value."""
        for path, value in parts:
            if is_container(value) if self.carried is not None else isinstance(value, (list, dict)):
                self._refuse_container(path, value, limit_levels)
            else:
                self._refuse_leaf(path, value)

    def _refuse_container(self, path: str, value: object, limit_levels: int) -> None:
        if limit_levels <= 0:
            raise UnserializableValue(f"{_cut(path, _SHOWN_PATH_CHARS)}: {TOO_DEEP}, or contains itself")
        if self.carried is not None and self.carried.refuses(value):
            raise UnserializableValue(f"{path}: {unregistered(type(value))}")
        self.refuse(((f"{path}.keys()", key) for key in _keys(value)), limit_levels - 1)
        self.refuse(_named_parts(path, value), limit_levels - 1)

    def _refuse_leaf(self, path: str, value: object) -> None:
        try:
            self.pack_leaf(value)
        except Exception as error:
            raise UnserializableValue(f"{path}: {_reason(value, error)}") from error


def _keys(value: object) -> Iterable[object]:
    return cast("dict[object, object]", value) if isinstance(value, dict) else ()


def _named_parts(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in cast("dict[object, object]", value).items():
            yield f"{path}[{_cut(repr(key), _SHOWN_KEY_CHARS)}]", inner
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(cast("list[object]", value)):
            yield f"{path}[{index}]", inner
    elif isinstance(value, (set, frozenset)):
        for inner in cast("set[object]", value):
            yield f"{path}{{element}}", inner
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.init:
                yield f"{path}.{field.name}", getattr(value, field.name, None)


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"


def _reason(value: object, error: Exception) -> str:
    if isinstance(error, UnserializableValue):
        return str(error)
    if isinstance(error, UnicodeEncodeError):
        return (
            f"str has a lone surrogate at index {error.start}, which UTF-8 can't hold: "
            "send bytes, as os.fsencode() makes them"
        )
    if isinstance(value, int):
        return refusal(value)
    return f"{type_name(type(value))} can't be carried: {error}"
