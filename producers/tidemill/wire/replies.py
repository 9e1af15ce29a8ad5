"""Reads the words of a raw reply: bytes, integers, None, or lists of these."""

from __future__ import annotations

import math
from typing import Any


def text(value: object) -> str:
    """Bytes as text; "" for nothing. Ids and names are ASCII: other bytes are a foreign hand's, and stay unknown."""
    return str(value, "utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def texts(values: Any) -> list[str]:
    return [text(value) for value in values]


def pairs(values: Any) -> list[tuple[str, Any]]:
    """A flat list as (text, value) pairs."""
    words = iter(values)
    return [(text(name), value) for name, value in zip(words, words, strict=True)]


def milliseconds(value: object) -> int | None:
    """A score; None for '', and for what never comes: a foreign hand may write "inf"."""
    found = float(text(value) or "inf")
    return int(found) if math.isfinite(found) else None


def whole(value: object) -> int:
    """A number of a record that a foreign hand may have changed: what is no number counts as none."""
    try:
        # A reply is of any type, and what `int` refuses is handled below.
        return int(value or 0)  # type: ignore[call-overload, no-any-return]  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError):
        return 0


def codes(reply: Any) -> list[int]:
    return [int(code) for code in reply]
