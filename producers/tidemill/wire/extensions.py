"""The values that MessagePack has no type for, as (extension code, payload) and back.

Codes are part of the wire format: never give an old one a new meaning. Negative codes belong to MessagePack
itself (-1 is its timestamp), and 0 to 15 are left to others.

| code | type | payload |
| ---- | ---- | ------- |
| 16 | aware datetime | RFC 9557 text: `2026-03-29T02:30:00+02:00[Europe/Berlin]` |
| 17, 18 | date, time | ISO 8601 text |
| 19 | timedelta | days (int32), seconds, microseconds (uint32), big endian |
| 20 | Decimal | its exact text |
| 21 | UUID | 16 bytes |
| 32, 33, 34 | tuple, set, frozenset | MessagePack array |
| 35 | dataclass | MessagePack array of name and map of init fields |

A subclass travels as the type that it extends: a StrEnum member as str, an IntEnum member as int, an
OrderedDict as dict, a named tuple as tuple. They equal their plain values; members of other Enums do not, and
are refused.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, cast
from uuid import UUID

from tidemill.errors import CorruptRecord, UnserializableValue
from tidemill.names import type_name

DATETIME: Final = 16
DATE: Final = 17
TIME: Final = 18
TIMEDELTA: Final = 19
DECIMAL: Final = 20
UUID_BYTES: Final = 21
TUPLE: Final = 32
SET: Final = 33
FROZENSET: Final = 34
DATACLASS: Final = 35

CONTAINERS: Final[dict[type, int]] = {tuple: TUPLE, set: SET, frozenset: FROZENSET}

# Zone keys look like this, `Etc/GMT+12`; anything else never reaches the file system.
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]{1,32}(?:/[A-Za-z0-9_+\-]{1,32}){0,3}")

_BUILT_IN: Final = cast(
    "dict[type, Callable[[object], object]]",
    {cls: cls for cls in (bytes, bytearray, dict, list, tuple, set, frozenset)},
)

# An int of more bits is not written out in a message: Python itself refuses to, past 4300 digits.
_SHOWN_INT_BITS = 256

_TIMEDELTA = struct.Struct(">iII")


def extend(value: object) -> tuple[int, bytes]:
    """The extension code and payload of a scalar. Raises UnserializableValue, without a path, for others."""
    for cls, code, encode in _SCALARS:
        if isinstance(value, cls):
            return code, encode(value)
    decimal = sys.modules.get("decimal")  # who has a Decimal has imported it
    if decimal is not None and isinstance(value, decimal.Decimal):
        return DECIMAL, str(decimal.Decimal(value)).encode()
    raise UnserializableValue(refusal(value))


def plain(value: object) -> object:
    """A subclass of a built-in as the built-in, a value of any other type as it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Enum):
        return value
    for cls, built_in in _BUILT_IN.items():
        if isinstance(value, cls):
            return built_in(value)
    return value


def restore(code: int, payload: bytes) -> object:
    """The scalar of an extension. Raises CorruptRecord or ValueError when no Tidemill wrote it."""
    decode = _RESTORERS.get(code)
    if decode is None:
        raise CorruptRecord(f"extension type {code} is not one of Tidemill's")
    return decode(payload)


def refusal(value: object) -> str:
    """Why a value of this type is refused, and what to send instead."""
    name = type_name(type(value))
    if isinstance(value, Enum) and not isinstance(value, int):
        return f"enum member {name}.{value.name} can't be carried: send its .value"
    if isinstance(value, int):
        bits = value.bit_length()
        shown = f"int {int(value)}" if bits <= _SHOWN_INT_BITS else f"int of {bits} bits"
        return f"{shown} does not fit 64 bits"
    return f"{name} can't be carried: pass a dict, a dataclass, or an id to load it by"


def _encode_datetime(value: datetime) -> bytes:
    offset = value.utcoffset()
    if offset is None:
        raise UnserializableValue(
            "datetime needs tz: pass an aware one, as datetime.now(UTC), or say what it means with .replace(tzinfo=...)"
        )
    key = _zone_key(value)
    return (datetime.isoformat(value) + (f"[{key}]" if key else "")).encode()


def _zone_key(value: datetime) -> str | None:
    """The IANA name of the value's zone; other kinds of tzinfo travel as their offset."""
    if value.tzinfo is UTC:
        return None
    zoneinfo = sys.modules.get("zoneinfo")  # who has a ZoneInfo has imported it
    if zoneinfo is None or not isinstance(value.tzinfo, zoneinfo.ZoneInfo):
        return None
    return cast("str | None", getattr(value.tzinfo, "key", None))


def _restore_datetime(payload: bytes) -> datetime:
    text, _, key = payload.decode("ascii").partition("[")
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise CorruptRecord("a datetime without its offset")
    return _in_zone(value, key.removesuffix("]")) if key else value


def _in_zone(value: datetime, key: str) -> datetime:
    """`value` in a named zone, with the wall time and offset that were sent.

    Within the hour that a clock change skips or repeats, two readings of the wall time exist, and the offset
    tells which was meant. When neither has it, the two machines' zone rules differ: the instant wins.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if not _ZONE_KEY.fullmatch(key):
        raise CorruptRecord(f"{key[:40]!r} is not the name of a time zone")
    try:
        zone = ZoneInfo(key)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise CorruptRecord(f"time zone {key} is not known on this machine: install tzdata") from error
    for fold in (0, 1):
        local = value.replace(tzinfo=zone, fold=fold)
        if local.utcoffset() == value.utcoffset():
            return local
    return value.astimezone(zone)


def _encode_date(value: date) -> bytes:
    return date.isoformat(value).encode()


def _encode_uuid(value: UUID) -> bytes:
    return value.bytes


def _encode_time(value: time) -> bytes:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise UnserializableValue("time has a zone whose offset depends on the date: pass a datetime")
    return time.isoformat(value).encode()


def _encode_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)


def _restore_timedelta(payload: bytes) -> timedelta:
    if len(payload) != _TIMEDELTA.size:
        raise CorruptRecord(f"a timedelta of {len(payload)} bytes instead of {_TIMEDELTA.size}")
    days, seconds, microseconds = _TIMEDELTA.unpack(payload)
    return timedelta(days, seconds, microseconds)


def _restore_decimal(payload: bytes) -> object:
    from decimal import Decimal

    return Decimal(payload.decode("ascii"))


# A datetime is a date too: the order decides.
_SCALARS: Final[tuple[tuple[type, int, Callable[..., bytes]], ...]] = (
    (datetime, DATETIME, _encode_datetime),
    (date, DATE, _encode_date),
    (time, TIME, _encode_time),
    (timedelta, TIMEDELTA, _encode_timedelta),
    (UUID, UUID_BYTES, _encode_uuid),
)

_RESTORERS: Final[dict[int, Callable[[bytes], object]]] = {
    DATETIME: _restore_datetime,
    DATE: lambda payload: date.fromisoformat(payload.decode("ascii")),
    TIME: lambda payload: time.fromisoformat(payload.decode("ascii")),
    TIMEDELTA: _restore_timedelta,
    DECIMAL: _restore_decimal,
    UUID_BYTES: lambda payload: UUID(bytes=payload),
}
