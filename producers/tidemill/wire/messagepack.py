"""MessagePack with types: msgpack ships none, and these are what its documentation says. Only here is it imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import msgpack  # type: ignore[import-untyped]  # msgpack ships no types


class Packer(Protocol):
    def pack(self, value: object, /) -> bytes: ...


class Unpacker(Protocol):
    def feed(self, data: bytes, /) -> None: ...
    def skip(self) -> None: ...


# msgpack ships no types: what is used of it is typed here, once.
new_packer = cast("Callable[..., Packer]", msgpack.Packer)  # pyright: ignore[reportUnknownMemberType]
new_unpacker = cast("Callable[..., Unpacker]", msgpack.Unpacker)  # pyright: ignore[reportUnknownMemberType]
unpackb = cast("Callable[..., object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]
ext_type = cast("Callable[[int, bytes], object]", msgpack.ExtType)
TIMESTAMP = cast("type", msgpack.Timestamp)
StackError = cast("type[Exception]", msgpack.StackError)
OutOfData = cast("type[Exception]", msgpack.OutOfData)
