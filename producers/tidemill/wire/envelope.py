"""What a job's arguments and result look like as bytes.

A body is the MessagePack array [args, kwargs], a result is one value. Beside MessagePack's own types, the
extensions of `extensions.py` and registered dataclasses (`carried.py`) travel. Nothing else does, and there
is no pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from tidemill.errors import CorruptRecord
from tidemill.wire.bounds import MAX_PAYLOAD_BYTES, is_list, is_text_map
from tidemill.wire.carried import CarriedTypes
from tidemill.wire.decoding import Decoder
from tidemill.wire.encoding import Encoder
from tidemill.wire.forms import CALL, MAP, RESULT

__all__ = ["MAX_PAYLOAD_BYTES", "Codec", "pack", "unpack"]

_T = TypeVar("_T")


class Codec:
    """Turns arguments and results into bytes and back.

    `max_payload_bytes` bounds what is sent and what is read. Each codec has its own registry of dataclasses,
    and may be used by many threads at once.
    """

    def __init__(self, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._carried = CarriedTypes()
        self._encoder = Encoder(self._carried)
        self._decoder = Decoder(self._carried)
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
        return self._encoder.encode(CALL, [list(args), options], self._max_payload_bytes)

    def decode_call(self, body: bytes) -> tuple[list[object], dict[str, object]]:
        """The positional and the keyword arguments. Raises CorruptRecord, whatever the bytes are."""
        call = self._decoder.decode(CALL, body, self._max_payload_bytes)
        if is_list(call) and len(call) == 2:
            args, kwargs = call
            if is_list(args) and is_text_map(kwargs):
                return args, kwargs
        raise CorruptRecord("arguments can't be read: not a list of args and a map of kwargs")

    def encode_result(self, value: object) -> bytes:
        """A result. Raises UnserializableValue with the path, as `result.items[2]`, and PayloadTooLarge."""
        return self._encoder.encode(RESULT, value, self._max_payload_bytes)

    def decode_result(self, data: bytes) -> object:
        """The value of a result. Raises CorruptRecord, whatever the bytes are."""
        return self._decoder.decode(RESULT, data, self._max_payload_bytes)


_plain_encoder = Encoder(None)
_plain_decoder = Decoder(None)


def pack(value: object) -> bytes:
    """An internal map or list as bytes: MessagePack's own types only, not even a tuple.

    Raises UnserializableValue and PayloadTooLarge, as for arguments.
    """
    return _plain_encoder.encode(MAP, value, MAX_PAYLOAD_BYTES)


def unpack(data: bytes) -> object:
    """What pack() packed. Raises CorruptRecord, whatever the bytes are."""
    return _plain_decoder.decode(MAP, data, MAX_PAYLOAD_BYTES)
