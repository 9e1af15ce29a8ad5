"""Values to bytes: one call into C. Only a failure pays for a second look, which finds the path of what is at fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from tidemill.errors import PayloadTooLarge, UnserializableValue
from tidemill.names import type_name
from tidemill.wire.bounds import (
    MAX_DEPTH_LEVELS,
    MAX_PAYLOAD_BYTES,
    TOO_DEEP,
    max_parts,
    may_be_deep,
    may_have_more_parts,
    nested_deeper,
    openers,
    sizes,
    too_many_parts,
)
from tidemill.wire.carried import CarriedTypes, unregistered
from tidemill.wire.counting import has_more_parts
from tidemill.wire.diagnosis import Diagnosis
from tidemill.wire.extensions import CONTAINERS, DATACLASS, extend, plain
from tidemill.wire.forms import Form
from tidemill.wire.messagepack import Packer, ext_type, new_packer

# A packer's buffer grows with the largest value that it has packed; past this size it is dropped, not kept.
_KEPT_BUFFER_BYTES = 2 * MAX_PAYLOAD_BYTES

# Packers start small: those of nested extensions would take 256 KiB each otherwise.
_FIRST_BUFFER_BYTES = 4096


class Encoder:
    """Packs values; the payload of an extension is packed by the encoder one level deeper.

    Without a registry it packs MessagePack's own types only. Packers are kept, since making one costs more
    than packing. Each call takes one for itself: a packer that is entered again, by another thread or by a
    property of the value that it packs, would mix up both outputs.
    """

    __slots__ = ("_carried", "_deeper", "_idle", "_level")

    def __init__(self, carried: CarriedTypes | None, level: int = 0) -> None:
        self._carried = carried
        self._level = level
        self._deeper: Encoder | None = None
        self._idle: list[Packer] = []

    def encode(self, form: Form, value: object, max_bytes: int) -> bytes:
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
            if may_have_more_parts(found, max_bytes) and has_more_parts(data, most := max_parts(max_bytes)):
                raise PayloadTooLarge(f"{form.noun} {form.verb} {too_many_parts(most)}: send a reference instead")
            if nested_deeper(value, form.max_levels):
                raise self._explained(form, value, UnserializableValue(TOO_DEEP))
        return data

    def _pack(self, value: object) -> bytes:
        try:
            packer = self._idle.pop()
        except IndexError:
            packer = new_packer(default=self._extend, strict_types=True, buf_size=_FIRST_BUFFER_BYTES)
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
        return ext_type(*extend(value)) if type(value) is cls else value

    def _nested(self, code: int, content: list[object]) -> object:
        if self._level > MAX_DEPTH_LEVELS:
            raise UnserializableValue(TOO_DEEP)
        if self._deeper is None:
            self._deeper = Encoder(self._carried, self._level + 1)
        return ext_type(code, self._deeper._pack(content))

    def _explained(self, form: Form, value: object, error: Exception) -> UnserializableValue:
        """The error that names the path of what is at fault; `error` is what packing the whole raised."""
        try:
            Diagnosis(self._carried, self._pack).refuse(form.parts(value))
        except UnserializableValue as flaw:
            return flaw
        except Exception as again:  # noqa: BLE001  # from the value's own code: it is told below
            error = again
        return UnserializableValue(f"{form.noun} can't be carried: {error}")


def _cause(error: Exception) -> Exception | None:
    """What to show beneath the error with a path: nothing when it says the same without the path."""
    return None if isinstance(error, UnserializableValue) else error
