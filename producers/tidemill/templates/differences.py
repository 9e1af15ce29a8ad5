"""What two versions of a template have that differs, by its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeGuard

from tidemill.templates.shown import TemplateContent

_ABSENT: Final = object()

_Map = Mapping[object, object]
_List = Sequence[object]


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """One difference. path: as `defaults.sizes[2].width`. before, after: None where there is nothing."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class TemplateDiff:
    """From version `before` to version `after`: numbers. `changes`: in the order of their paths' parts."""

    name: str
    before: int
    after: int
    changes: tuple[TemplateChange, ...]


def difference(before: TemplateContent, after: TemplateContent) -> TemplateDiff:
    """Of defaults, options and schema, in this order."""
    changes = [
        *_changes("defaults", before.defaults, after.defaults),
        *_changes("options", before.options, after.options),
        *_changes("schema", _or_absent(before.schema), _or_absent(after.schema)),
    ]
    return TemplateDiff(before.version.name, before.version.number, after.version.number, tuple(changes))


def _changes(path: str, before: object, after: object) -> Iterator[TemplateChange]:
    if _is_map(before) and _is_map(after):
        yield from _changes_of_maps(path, before, after)
    elif _is_list(before) and _is_list(after) and type(before) is type(after):
        yield from _changes_of_lists(path, before, after)
    elif not _is_same(before, after):
        yield _change(path, before, after)


def _is_map(value: object) -> TypeGuard[_Map]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[_List]:
    return isinstance(value, (list, tuple))


def _is_same(before: object, after: object) -> bool:
    """1, 1.0 and True are equal, and not the same."""
    return type(before) is type(after) and before == after


def _changes_of_maps(path: str, before: _Map, after: _Map) -> Iterator[TemplateChange]:
    for key in [*before, *(key for key in after if key not in before)]:
        inner = f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]"
        yield from _changes(inner, before.get(key, _ABSENT), after.get(key, _ABSENT))


def _changes_of_lists(path: str, before: _List, after: _List) -> Iterator[TemplateChange]:
    for index in range(max(len(before), len(after))):
        ours = before[index] if index < len(before) else _ABSENT
        theirs = after[index] if index < len(after) else _ABSENT
        yield from _changes(f"{path}[{index}]", ours, theirs)


def _change(path: str, before: object, after: object) -> TemplateChange:
    if before is _ABSENT:
        return TemplateChange(path, "added", None, after)
    if after is _ABSENT:
        return TemplateChange(path, "removed", before, None)
    return TemplateChange(path, "changed", before, after)


def _or_absent(schema: object | None) -> object:
    return _ABSENT if schema is None else schema
