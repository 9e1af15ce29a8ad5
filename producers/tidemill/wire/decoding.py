"""Bytes to values.

Bytes from the server are hostile until proved otherwise, and every bound is checked before memory is taken: the size,
then the structure, which is skipped over without being built, so that no header can claim more elements than there are
bytes. Whatever the bytes are, the answer is a value or CorruptRecord.
"""

from __future__ import annotations

from functools import partial

from tidemill.errors import CorruptRecord
from tidemill.wire.bounds import (
    MAX_DEPTH_LEVELS,
    TOO_DEEP,
    is_list,
    map_of_pairs,
    max_parts,
    may_be_deep,
    may_have_extensions,
    may_have_more_parts,
    nested_deeper,
    openers,
    refuse_collisions,
    refuse_type,
    sizes,
    too_many_parts,
)
from tidemill.wire.carried import CarriedTypes
from tidemill.wire.counting import UNCHECKED_STRUCTURE_BYTES, has_more_parts, refuse_false_headers
from tidemill.wire.extensions import CONTAINERS, DATACLASS, SET, TUPLE, restore
from tidemill.wire.forms import Form
from tidemill.wire.messagepack import TIMESTAMP, OutOfData, StackError, unpackb


class Decoder:
    """Unpacks values. Each level of extensions within extensions has its own hook: so levels are counted.

    Without a registry no extension is accepted.
    """

    __slots__ = ("_carried", "_hooks")

    def __init__(self, carried: CarriedTypes | None) -> None:
        self._carried = carried
        self._hooks = [partial(self._restore, level) for level in range(1, MAX_DEPTH_LEVELS + 2)]

    def decode(self, form: Form, data: bytes, max_bytes: int) -> object:
        """The value of `data`. Raises CorruptRecord, whatever the bytes are."""
        try:
            if len(data) > max_bytes:
                raise CorruptRecord(f"{sizes(len(data), max_bytes)} here")
            found = openers(data)
            if may_have_more_parts(found, max_bytes) and has_more_parts(data, most := max_parts(max_bytes)):
                raise CorruptRecord(too_many_parts(most))
            value = self._unpack(data, found)
            if may_be_deep(found) and nested_deeper(value, form.max_levels):
                raise CorruptRecord(TOO_DEEP)
        except MemoryError:
            raise  # the machine's fault, not the record's: the bounds above do not let bytes cause it
        except Exception as error:  # msgpack, the standard library's parsers, a __hash__ of the application
            raise CorruptRecord(f"{form.noun} can't be read: {_reason(error)}") from error
        return value

    def _unpack(self, data: bytes, found: bytes, level: int = 0) -> object:
        if len(data) > UNCHECKED_STRUCTURE_BYTES:
            refuse_false_headers(data)
        if not may_have_extensions(found):
            return unpackb(data, strict_map_key=False)
        hook = self._hooks[level]
        value = unpackb(data, strict_map_key=False, ext_hook=hook, object_pairs_hook=map_of_pairs)
        if b"\xff" in data:  # the code of MessagePack's timestamps, -1
            refuse_type(TIMESTAMP, value)
        return value

    def _restore(self, level: int, code: int, payload: bytes) -> object:
        """msgpack's hook for extensions."""
        if self._carried is None:
            raise CorruptRecord(f"extension type {code} has no place in an internal map")
        if code != DATACLASS and code not in CONTAINERS.values():
            return restore(code, payload)
        if level > MAX_DEPTH_LEVELS:
            raise CorruptRecord(TOO_DEEP)
        items = self._unpack(payload, openers(payload), level)
        if not is_list(items):
            raise CorruptRecord(f"extension type {code} does not hold an array")
        if code == DATACLASS:
            return self._carried.build(items)
        if code == TUPLE:
            return tuple(items)
        refuse_collisions(items)
        return set(items) if code == SET else frozenset(items)


def _reason(error: Exception) -> str:
    if isinstance(error, OutOfData):
        return "incomplete input"
    if isinstance(error, StackError):
        return TOO_DEEP
    return str(error) or f"not MessagePack ({type(error).__name__})"
