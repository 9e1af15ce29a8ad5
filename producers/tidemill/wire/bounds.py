"""Bounds of what is packed and read, checked at the speed of memory where most data is harmless.

A byte that opens a container or an extension may also be part of a text or a number. So the count of such
bytes is an upper bound of the containers: nearly always enough to prove that data is flat and free of
extensions. Only where it is not, the value itself is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeGuard, cast

from tidemill.errors import CorruptRecord

# Arguments or a result as bytes. Larger data belongs into a store of its own: every job passes through the
# server's memory, its append-only file and its replicas.
MAX_PAYLOAD_BYTES = 256 * 1024

# Lists, maps, tuples, sets and dataclasses within one another, in one argument or in a result. Far more than
# data has, and few enough that neither side's recursion comes near Python's limit of 1000.
MAX_DEPTH_LEVELS = 64

TOO_DEEP = f"nested in more than {MAX_DEPTH_LEVELS} levels"

# Lists, maps and values with a type of ours, in all levels of one body. Each takes far more time and memory than the
# one to three bytes that it may be written in: without this bound 256 KiB of empty maps would be 21 MB.
# For bodies of up to this size; where larger ones are let through, as many more.
MAX_PARTS = 10_000
_MAX_PARTS_BYTES = 256 * 1024

# Different keys with one and the same hash, in one map or set. Honest data has next to none; thousands would
# make a dict quadratic, and whoever writes UUIDs, Decimals or tuples can choose their hashes.
_MAX_HASH_COLLISIONS = 16

# Types without anything inside, by far the most frequent: looked up instead of examined.
_FLAT = frozenset({type(None), bool, int, float, str, bytes, bytearray, datetime, date, time, timedelta})


def _translation() -> tuple[bytes, bytes]:
    """Arguments for bytes.translate: first bytes of containers become `C`, of extensions `E`, others go."""
    containers = [*range(0x80, 0xA0), *range(0xDC, 0xE0)]
    extensions = [*range(0xC7, 0xCA), *range(0xD4, 0xD9)]
    table = bytearray(256)
    for codes, mark in ((containers, b"C"), (extensions, b"E")):
        for code in codes:
            table[code] = mark[0]
    return bytes(table), bytes(set(range(256)) - set(containers) - set(extensions))


_MARKS, _UNMARKED = _translation()


def openers(data: bytes) -> bytes:
    """The bytes of `data` that could open a container, as `C`, or an extension, as `E`: one look for all bounds."""
    return data.translate(_MARKS, _UNMARKED)


def may_be_deep(found: bytes) -> bool:
    """Whether these are openers enough to be nested deeper than MAX_DEPTH_LEVELS."""
    return len(found) > MAX_DEPTH_LEVELS


def max_parts(max_bytes: int) -> int:
    """How many parts a body may have, where it may be so large."""
    return max(MAX_PARTS, MAX_PARTS * max_bytes // _MAX_PARTS_BYTES)


def too_many_parts(most: int) -> str:
    return f"made of more than {most} lists, maps, dates and other values with a type"


def may_have_more_parts(found: bytes, max_bytes: int) -> bool:
    """Whether these are openers enough for more parts than a body of up to `max_bytes` may have."""
    return len(found) > MAX_PARTS and len(found) > max_parts(max_bytes)


def may_have_extensions(found: bytes) -> bool:
    """Whether one of these openers could open an extension."""
    return b"E" in found


def nested_deeper(value: object, limit_levels: int) -> bool:
    """Whether containers are nested in more than `limit_levels` levels; `value` itself is the first."""
    level = [value]
    for _ in range(limit_levels):
        level = [inner for outer in level for inner in _inside(outer) if type(inner) not in _FLAT]
        if not level:
            return False
    return any(is_container(inner) for inner in level)


def is_container(value: object) -> bool:
    """Whether a value is of a type that counts as a level."""
    return isinstance(value, (dict, list, tuple, set, frozenset)) or is_dataclass_instance(value)


def is_dataclass_instance(value: object) -> bool:
    """Whether a value is an instance of a dataclass, and not the class itself."""
    return is_dataclass(value) and not isinstance(value, type)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a value that was read is a list."""
    return type(value) is list


def is_text_map(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value that was read is a map whose keys are all text."""
    return type(value) is dict and (not value or all(type(key) is str for key in cast("dict[object, object]", value)))


def map_of_pairs(pairs: list[tuple[object, object]]) -> dict[object, object]:
    """msgpack's hook for maps whose keys may be extensions. Raises CorruptRecord for chosen hashes."""
    refuse_collisions([key for key, _ in pairs])
    return dict(pairs)


def refuse_collisions(keys: list[object]) -> None:
    """Raise CorruptRecord when many keys share their hash, before a dict or set is made of them."""
    if len(keys) > _MAX_HASH_COLLISIONS and len(keys) - len({hash(key) for key in keys}) > _MAX_HASH_COLLISIONS:
        raise CorruptRecord("keys of a map, or elements of a set, that collide or repeat")


def refuse_type(refused: type, value: object) -> None:
    """Raise CorruptRecord when lists and maps within one another hold an instance of exactly `refused`."""
    level = [value]
    while level:
        if any(type(item) is refused for item in level):
            raise CorruptRecord(f"a {refused.__name__} of MessagePack's own, extension type -1, is not carried")
        lists = [cast("list[object]", item) for item in level if type(item) is list]
        maps = [cast("dict[object, object]", item) for item in level if type(item) is dict]
        level = [item for outer in (*lists, *maps, *(inner.values() for inner in maps)) for item in outer]


def sizes(size_bytes: int, limit_bytes: int) -> str:
    """Both sizes in KiB, or in bytes where rounding would make them look equal."""
    size, limit = (f"{count / 1024:.1f} KiB" for count in (size_bytes, limit_bytes))
    if size == limit:
        size, limit = f"{size_bytes} bytes", f"{limit_bytes} bytes"
    return f"{size}, over the limit of {limit}"


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return cast("Iterable[object]", value)
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        return [*entries, *entries.values()]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value) if field.init]
    return ()
