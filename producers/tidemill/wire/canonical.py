"""The same values always as the same bytes: a set has no order, and Python gives it another in each process."""

from __future__ import annotations

from typing import cast

from tidemill.wire.extensions import CONTAINERS, DATACLASS, FROZENSET, SET
from tidemill.wire.messagepack import ext_type, new_packer, unpackb

_NESTED = frozenset({*CONTAINERS.values(), DATACLASS})


def canonical(data: bytes) -> bytes:
    """What a codec has encoded, with the elements of sets in the order of their bytes.

    The order of a map's keys stays: it means something to who reads the map. Trusts its input: for what this process
    has just encoded, never for what was received.
    """
    return _packed(unpackb(data, strict_map_key=False, ext_hook=_extension))


def _extension(code: int, payload: bytes) -> object:
    if code not in _NESTED:
        return ext_type(code, payload)
    items = cast("list[object]", unpackb(payload, strict_map_key=False, ext_hook=_extension))
    if code in (SET, FROZENSET):
        items.sort(key=_packed)
    return ext_type(code, _packed(items))


def _packed(value: object) -> bytes:
    return new_packer(strict_types=True).pack(value)
