"""When a failed call says that it may be made again."""

from __future__ import annotations

import urllib.error
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill import QueueFull
from tidemill.retry_after import MAX_RETRY_AFTER_SECONDS, retry_after_seconds


class CallFailed(Exception):
    """As the exceptions of HTTP libraries: with attributes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        vars(self).update(attributes)


def answered(value: str, name: str = "Retry-After") -> CallFailed:
    """As requests and httpx raise it."""
    return CallFailed(response=SimpleNamespace(headers={name: value}))


def _attributes(value: object) -> str:
    return repr(vars(value)) if isinstance(value, Exception) else str(value)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (CallFailed(retry_after=3), 3),
        (CallFailed(retry_after=0.25), 0.25),
        (CallFailed(retry_after="7"), 7),
        (CallFailed(retry_after=timedelta(minutes=1)), 60),
        (QueueFull("full", retry_after=2.5), 2.5),
        (answered("120"), 120),
        (answered("120", "retry-after"), 120),
        (CallFailed(headers={"Retry-After": "5"}), 5),
        (CallFailed(retry_after=1, headers={"Retry-After": "5"}), 1),
        (CallFailed(retry_after=None, headers={"Retry-After": "5"}), 5),
        (CallFailed(retry_after=10**12), MAX_RETRY_AFTER_SECONDS),
        (CallFailed(retry_after=float("inf")), MAX_RETRY_AFTER_SECONDS),
        (answered("Wed, 21 Oct 2015 07:28:00 GMT"), 0),
    ],
    ids=_attributes,
)
def test_a_time_is_found_where_libraries_put_it(error: Exception, seconds: float) -> None:
    assert retry_after_seconds(error) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_date_counts_from_now(zone: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True).replace("GMT", zone)
    found = retry_after_seconds(answered(later))
    assert found is not None
    assert 3_000 < found <= 3_600


def test_an_error_of_urllib_has_the_headers_itself() -> None:
    headers = Message()
    headers["retry-after"] = "11"
    assert retry_after_seconds(urllib.error.HTTPError("http://a.invalid", 503, "busy", headers, None)) == 11


class Broken(Exception):
    """An exception whose attributes can't be had."""

    @property
    def retry_after(self) -> float:
        raise RuntimeError

    @property
    def response(self) -> object:
        raise RuntimeError


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        Broken(),
        CallFailed(retry_after=True),
        CallFailed(retry_after=-1),
        CallFailed(retry_after=float("nan")),
        CallFailed(retry_after="soon"),
        CallFailed(retry_after=b"5"),
        CallFailed(response=None),
        CallFailed(response={"a": "dict"}),
        CallFailed(headers=["a list"]),
        answered(""),
        answered("-5"),
        answered("tomorrow"),
    ],
    ids=_attributes,
)
def test_what_is_no_time_is_ignored(error: Exception) -> None:
    assert retry_after_seconds(error) is None
