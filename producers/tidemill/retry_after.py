"""When a failed call says that it may be made again: HTTP's `Retry-After`, or the like.

Source: RFC 9110, section 10.2.3: seconds, or a date.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

# A service that asks for more than a day is taken at a day: what a foreign answer says must not put work off for ever.
MAX_RETRY_AFTER_SECONDS: Final = 86_400.0


def retry_after_seconds(error: BaseException) -> float | None:
    """Seconds to wait before the call that raised `error` is made again; None where it says nothing that can be read.

    It is looked for in the error's `retry_after` (a number of seconds, or a timedelta), then in the headers of its
    `response` (requests, httpx), then in its own `headers` (aiohttp, urllib). What is negative or no time is ignored.
    """
    try:
        return _bounded(_told(error))
    except Exception:  # noqa: BLE001 - an exception of a foreign library, whose attributes may raise anything
        return None


def _told(error: BaseException) -> float | None:
    told = _seconds(getattr(error, "retry_after", None))
    for owner in (getattr(error, "response", None), error):
        if told is None:
            told = _of_headers(getattr(owner, "headers", None))
    return told


def _of_headers(headers: Any) -> float | None:
    if headers is None:
        return None
    # Both spellings: the libraries' own maps do not mind, a plain dict does.
    return _seconds(headers.get("Retry-After") or headers.get("retry-after"))


def _seconds(told: object) -> float | None:
    match told:
        case bool():
            return None
        case int() | float():
            return float(told)
        case timedelta():
            return told.total_seconds()
        case str():
            return _of_text(told)
        case _:
            return None


def _of_text(text: str) -> float:
    """Raises ValueError for what is neither a number nor a date."""
    try:
        return float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # its package takes longer to import than all of this one

        when = parsedate_to_datetime(text)
        left = when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)
        return max(0.0, left.total_seconds())


def _bounded(told: float | None) -> float | None:
    if told is None or math.isnan(told) or told < 0:
        return None
    return min(told, MAX_RETRY_AFTER_SECONDS)
