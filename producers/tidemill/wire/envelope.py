"""What a job's arguments and result look like as bytes. All of the project's MessagePack is in this file.

A body is the MessagePack array [args, kwargs], a result is one value. Beside MessagePack's own types, the
extensions of `extensions.py` and registered dataclasses (`carried.py`) travel. Nothing else does, and there
is no pickle. Two rules shape the code:

- The common case is one call into C, both ways. Only a failure pays for a second look that finds its path.
- Bytes from the server are hostile until proved otherwise, and every bound is checked before memory is
  taken: the size, then the structure, which is skipped over without being built, so that no header can claim
  more elements than there are bytes. Whatever the bytes are, the answer is a value or CorruptRecord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, cast

import msgpack  # type: ignore[import-untyped]  # msgpack ships no types

from tidemill.errors import CorruptRecord, PayloadTooLarge, UnserializableValue
from tidemill.names import type_name
from tidemill.wire.bounds import (
    MAX_DEPTH_LEVELS,
    TOO_DEEP,
    is_list,
    is_text_map,
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
from tidemill.wire.carried import CarriedTypes, unregistered
from tidemill.wire.diagnosis import Diagnosis
from tidemill.wire.extensions import CONTAINERS, DATACLASS, SET, TUPLE, extend, plain, restore

# Arguments or a result as bytes. Larger data belongs into a store of its own: every job passes through the
# server's memory, its append-only file and its replicas.
MAX_PAYLOAD_BYTES = 256 * 1024

# Up to this size the headers of arrays can't claim enough memory to matter (3 MB), so the structure is built
# without being skipped over first.
_UNCHECKED_STRUCTURE_BYTES = 1024

# A packer's buffer grows with the largest value that it has packed; past this size it is dropped, not kept.
_KEPT_BUFFER_BYTES = 2 * MAX_PAYLOAD_BYTES

# Packers start small: those of nested extensions would take 256 KiB each otherwise.
_FIRST_BUFFER_BYTES = 4096

_T = TypeVar("_T")


class _Packer(Protocol):
    def pack(self, value: object, /) -> bytes: ...


class _Unpacker(Protocol):
    def feed(self, data: bytes, /) -> None: ...
    def skip(self) -> None: ...


# msgpack ships no types: these are what its documentation says.
_new_packer = cast("Callable[..., _Packer]", msgpack.Packer)  # pyright: ignore[reportUnknownMemberType]
_new_unpacker = cast("Callable[..., _Unpacker]", msgpack.Unpacker)  # pyright: ignore[reportUnknownMemberType]
_unpackb = cast("Callable[..., object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]
_ext_type = cast("Callable[[int, bytes], object]", msgpack.ExtType)
_timestamp = cast("type", msgpack.Timestamp)
_stack_error = cast("type[Exception]", msgpack.StackError)
_out_of_data = cast("type[Exception]", msgpack.OutOfData)


@dataclass(frozen=True, slots=True)
class _Form:
    """What is packed as one: how errors name it and its parts, and how many levels it may have."""

    noun: str
    verb: str
    max_levels: int
    parts: Callable[[object], Iterable[tuple[str, object]]]


def _parts_of_call(call: object) -> Iterator[tuple[str, object]]:
    args, kwargs = cast("tuple[list[object], dict[object, object]]", call)
    for index, value in enumerate(args):
        yield f"args[{index}]", value
    for name, value in kwargs.items():
        yield "kwargs.keys()", name
        yield str(name), value


# [args, kwargs] adds two levels to those of the arguments themselves.
_CALL = _Form("arguments", "are", MAX_DEPTH_LEVELS + 2, _parts_of_call)
_RESULT = _Form("result", "is", MAX_DEPTH_LEVELS, lambda value: [("result", value)])
_MAP = _Form("map", "is", MAX_DEPTH_LEVELS, lambda value: [("map", value)])


class _Encoder:
    """Packs values; the payload of an extension is packed by the encoder one level deeper.

    Without a registry it packs MessagePack's own types only. Packers are kept, since making one costs more
    than packing. Each call takes one for itself: a packer that is entered again, by another thread or by a
    property of the value that it packs, would mix up both outputs.
    """

    __slots__ = ("_carried", "_deeper", "_idle", "_level")

    def __init__(self, carried: CarriedTypes | None, level: int = 0) -> None:
        self._carried = carried
        self._level = level
        self._deeper: _Encoder | None = None
        self._idle: list[_Packer] = []

    def encode(self, form: _Form, value: object, max_bytes: int) -> bytes:
        """The bytes of `value`. Raises UnserializableValue with a path, and PayloadTooLarge."""
        try:
            data = self._pack(value)
        except Exception as error:  # noqa: BLE001  # the value's own code may raise anything
            raise self._explained(form, value, error) from _cause(error)
        if len(data) > max_bytes:
            raise PayloadTooLarge(
                f"{form.noun} {form.verb} {sizes(len(data), max_bytes)}: "
                "send a reference (a path, a key, a URL) instead"
            )
        if may_be_deep(found := openers(data)):  # else it can't have many parts either
            if may_have_more_parts(found, max_bytes) and _has_more_parts(data, most := max_parts(max_bytes)):
                raise PayloadTooLarge(f"{form.noun} {form.verb} {too_many_parts(most)}: send a reference instead")
            if nested_deeper(value, form.max_levels):
                raise self._explained(form, value, UnserializableValue(TOO_DEEP))
        return data

    def _pack(self, value: object) -> bytes:
        try:
            packer = self._idle.pop()
        except IndexError:
            packer = _new_packer(default=self._extend, strict_types=True, buf_size=_FIRST_BUFFER_BYTES)
        data = packer.pack(value)
        if len(data) <= _KEPT_BUFFER_BYTES:
            self._idle.append(packer)
        return data

    def _extend(self, value: object) -> object:
        """msgpack's hook for what it does not know: gives a plain value, or an extension."""
        cls = type(value)
        if self._carried is None:
            raise UnserializableValue(f"{type_name(cls)} has no place in an internal map")
        carried = self._carried.of_type(cls)
        if carried is not None:
            return self._nested(DATACLASS, carried.parts_of(value))
        if self._carried.refuses(value):
            raise UnserializableValue(unregistered(cls))
        value = plain(value)
        code = CONTAINERS.get(type(value))
        if code is not None:
            return self._nested(code, list(cast("Iterable[object]", value)))
        return _ext_type(*extend(value)) if type(value) is cls else value

    def _nested(self, code: int, content: list[object]) -> object:
        if self._level > MAX_DEPTH_LEVELS:
            raise UnserializableValue(TOO_DEEP)
        if self._deeper is None:
            self._deeper = _Encoder(self._carried, self._level + 1)
        return _ext_type(code, self._deeper._pack(content))

    def _explained(self, form: _Form, value: object, error: Exception) -> UnserializableValue:
        """The error that names the path of what is at fault; `error` is what packing the whole raised."""
        try:
            Diagnosis(self._carried, self._pack).refuse(form.parts(value))
        except UnserializableValue as flaw:
            return flaw
        except Exception as again:  # noqa: BLE001  # from the value's own code: it is told below
            error = again
        return UnserializableValue(f"{form.noun} can't be carried: {error}")


class _Decoder:
    """Unpacks values. Each level of extensions within extensions has its own hook: so levels are counted.

    Without a registry no extension is accepted.
    """

    __slots__ = ("_carried", "_hooks")

    def __init__(self, carried: CarriedTypes | None) -> None:
        self._carried = carried
        self._hooks = [partial(self._restore, level) for level in range(1, MAX_DEPTH_LEVELS + 2)]

    def decode(self, form: _Form, data: bytes, max_bytes: int) -> object:
        """The value of `data`. Raises CorruptRecord, whatever the bytes are."""
        try:
            if len(data) > max_bytes:
                raise CorruptRecord(f"{sizes(len(data), max_bytes)} here")
            found = openers(data)
            if may_have_more_parts(found, max_bytes) and _has_more_parts(data, most := max_parts(max_bytes)):
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
        if len(data) > _UNCHECKED_STRUCTURE_BYTES:
            _refuse_false_headers(data)
        if not may_have_extensions(found):
            return _unpackb(data, strict_map_key=False)
        hook = self._hooks[level]
        value = _unpackb(data, strict_map_key=False, ext_hook=hook, object_pairs_hook=map_of_pairs)
        if b"\xff" in data:  # the code of MessagePack's timestamps, -1
            refuse_type(_timestamp, value)
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


class Codec:
    """Turns arguments and results into bytes and back.

    `max_payload_bytes` bounds what is sent and what is read. Each codec has its own registry of dataclasses,
    and may be used by many threads at once.
    """

    def __init__(self, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._carried = CarriedTypes()
        self._encoder = _Encoder(self._carried)
        self._decoder = _Decoder(self._carried)
        self._max_payload_bytes = max_payload_bytes

    def carry(self, cls: type[_T]) -> type[_T]:
        """Register a dataclass and the dataclasses of its fields; usable as a decorator.

        Raises InvalidInput when `cls` is not a dataclass, or one that can't be built again from its fields.
        """
        self._carried.add(cls)
        return cls

    def carry_annotations(self, function: Callable[..., object]) -> None:
        """Register every dataclass that the function's annotations reach; skip what can't be resolved."""
        self._carried.add_annotations(function)

    def encode_call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """A job's body.

        Raises UnserializableValue with the path of the value, as `args[1].when`, and PayloadTooLarge.
        """
        options = cast("dict[str, object]", kwargs) if type(kwargs) is dict else dict(kwargs)
        return self._encoder.encode(_CALL, [list(args), options], self._max_payload_bytes)

    def decode_call(self, body: bytes) -> tuple[list[object], dict[str, object]]:
        """The positional and the keyword arguments. Raises CorruptRecord, whatever the bytes are."""
        call = self._decoder.decode(_CALL, body, self._max_payload_bytes)
        if is_list(call) and len(call) == 2:
            args, kwargs = call
            if is_list(args) and is_text_map(kwargs):
                return args, kwargs
        raise CorruptRecord("arguments can't be read: not a list of args and a map of kwargs")

    def encode_result(self, value: object) -> bytes:
        """A result. Raises UnserializableValue with the path, as `result.items[2]`, and PayloadTooLarge."""
        return self._encoder.encode(_RESULT, value, self._max_payload_bytes)

    def decode_result(self, data: bytes) -> object:
        """The value of a result. Raises CorruptRecord, whatever the bytes are."""
        return self._decoder.decode(_RESULT, data, self._max_payload_bytes)


_plain_encoder = _Encoder(None)
_plain_decoder = _Decoder(None)


def pack(value: object) -> bytes:
    """An internal map or list as bytes: MessagePack's own types only, not even a tuple.

    Raises UnserializableValue and PayloadTooLarge, as for arguments.
    """
    return _plain_encoder.encode(_MAP, value, MAX_PAYLOAD_BYTES)


def unpack(data: bytes) -> object:
    """What pack() packed. Raises CorruptRecord, whatever the bytes are."""
    return _plain_decoder.decode(_MAP, data, MAX_PAYLOAD_BYTES)


class _TooManyParts(Exception):
    """Stops the count."""


class _Parts:
    """Counts the containers and extensions of a body while it is read, and keeps nothing of what is read."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def count(self, data: bytes, level: int = 0) -> None:
        """Raises _TooManyParts, or msgpack's errors for what it can't read."""
        if len(data) > _UNCHECKED_STRUCTURE_BYTES:
            _refuse_false_headers(data)
        extension = partial(self._extension, level)
        # Keys of maps stay pairs: hashing them is what could be made slow. Timestamps are refused later.
        _unpackb(
            data,
            strict_map_key=False,
            list_hook=self._one,
            object_pairs_hook=self._one,
            ext_hook=extension,
            timestamp=2,
        )

    def _one(self, _: object) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooManyParts

    def _extension(self, level: int, code: int, payload: bytes) -> None:
        self._one(None)
        if level <= MAX_DEPTH_LEVELS and (code == DATACLASS or code in CONTAINERS.values()):
            self.count(payload, level + 1)


def _has_more_parts(data: bytes, most: int) -> bool:
    """Whether a body has more parts. (Nearly always its openers alone prove that it has not.)"""
    try:
        _Parts(most).count(data)
    except _TooManyParts:
        return True
    return False


def _refuse_false_headers(data: bytes) -> None:
    """Skip over the structure without building it: raises when a header claims more than there is."""
    unpacker = _new_unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()


def _cause(error: Exception) -> Exception | None:
    """What to show beneath the error with a path: nothing when it says the same without the path."""
    return None if isinstance(error, UnserializableValue) else error


def _reason(error: Exception) -> str:
    if isinstance(error, _out_of_data):
        return "incomplete input"
    if isinstance(error, _stack_error):
        return TOO_DEEP
    return str(error) or f"not MessagePack ({type(error).__name__})"
