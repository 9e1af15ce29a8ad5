"""The rules for names, ids, times and priorities."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill import InvalidInput, Retry, validation
from tidemill.ids import new_id


@given(st.integers(0, validation.MAX_DELAY_DAYS * 86_400_000))
def test_whole_milliseconds_are_kept(milliseconds: int) -> None:
    assert validation.duration_ms("delay", timedelta(milliseconds=milliseconds)) in (milliseconds, milliseconds + 1)


@given(st.floats(0, validation.MAX_DELAY_DAYS * 86_400))
def test_a_duration_is_never_rounded_down(seconds: float) -> None:
    milliseconds = validation.duration_ms("delay", seconds)
    assert 0 <= milliseconds - seconds * 1000 <= 1


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(0, 0), (1, 1000), (0.0001, 1), (2.5, 2500), (timedelta(microseconds=1), 1)]
)
def test_durations_in_milliseconds(seconds: float | timedelta, milliseconds: int) -> None:
    assert validation.duration_ms("delay", seconds) == milliseconds


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_an_instant_is_never_rounded_down(when: datetime) -> None:
    late = timedelta(milliseconds=validation.instant_ms("when", when)) - (when - datetime(1970, 1, 1, tzinfo=UTC))
    assert timedelta(0) <= late < timedelta(milliseconds=1)


def test_an_instant_is_the_same_in_every_zone() -> None:
    when = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    elsewhere = when.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert validation.instant_ms("when", when) == validation.instant_ms("when", elsewhere) == 1_774_747_800_000
    assert validation.instant_ms("when", datetime(1, 1, 1, tzinfo=UTC)) == 0


def test_an_instant_beyond_all_plans_is_refused() -> None:
    for when in (datetime.max.replace(tzinfo=UTC), datetime.now(UTC) + timedelta(days=validation.MAX_DELAY_DAYS + 1)):
        with pytest.raises(InvalidInput, match="is more than 3660 days ahead"):
            validation.instant_ms("when", when)


def test_a_zone_that_knows_no_offset_is_naive() -> None:
    class Nowhere(tzinfo):
        def utcoffset(self, when: datetime | None, /) -> None:
            return None

        dst = utcoffset

        def tzname(self, when: datetime | None, /) -> str:
            return "nowhere"

    with pytest.raises(InvalidInput, match="is naive; use"):
        validation.instant_ms("when", datetime(2026, 1, 1, tzinfo=Nowhere()))


@pytest.mark.parametrize("good", ["default", "a", "images.small", "0-9_.", "x" * 64])
def test_queue_names(good: str) -> None:
    assert validation.queue_name(good) == good


@pytest.mark.parametrize("bad", ["", "A", "a b", "ä", "a:b", "{a}", "x" * 65, "a\n", None, 5, b"a", "*"])
def test_wrong_queue_names(bad: object) -> None:
    rule = re.escape(f"queue name {bad!r} is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'")
    with pytest.raises(InvalidInput, match=rule):
        validation.queue_name(bad)


@pytest.mark.parametrize("bad", ["", "1a", "a b", "a:b", "ä", "x" * 129, "a\n", None])
def test_wrong_task_names(bad: object) -> None:
    rule = re.escape(f"task name {bad!r} is not valid: a letter or '_', then up to 127 of A-Z, a-z, 0-9, '_', '.', '-'")
    with pytest.raises(InvalidInput, match=rule):
        validation.task_name(bad)


@pytest.mark.parametrize("good", ["a", "order:17", "2026-01-01T00:00:00+00:00", "a/b=c@d", "x" * 128])
def test_job_ids(good: str) -> None:
    assert validation.job_id(good) == good


@pytest.mark.parametrize("bad", ["", "a b", "ä", "{a}", "x" * 129, "a\n", 17])
def test_wrong_job_ids(bad: object) -> None:
    with pytest.raises(InvalidInput, match=re.escape(f"job id {bad!r} is not valid: 1 to 128 of ")):
        validation.job_id(bad)


def test_ids_sort_by_time_and_are_all_different() -> None:
    found = [new_id() for _ in range(10_000)]
    assert len(set(found)) == 10_000
    assert {len(job_id) for job_id in found} == {21}
    assert [job_id[:9] for job_id in found] == sorted(job_id[:9] for job_id in found)


WRONG_RETRIES: list[tuple[dict[str, Any], str]] = [
    ({"max_attempts": 0}, "Retry.max_attempts must be a whole number from 1 to 1000, not 0"),
    ({"max_attempts": True}, "Retry.max_attempts must be a whole number from 1 to 1000, not True"),
    ({"max_attempts": 2.5}, "Retry.max_attempts must be a whole number from 1 to 1000, not 2.5"),
    ({"backoff": "random"}, "Retry.backoff 'random' is not valid: one of 'constant', 'linear', 'exponential', "),
    ({"base": -1}, "Retry.base must be 0 to 86400, not -1"),
    ({"factor": 0.5}, "Retry.factor must be 1 to 100, not 0.5"),
    ({"cap": "1h"}, "Retry.cap must be a number, not '1h'"),
    ({"cap": float("nan")}, "Retry.cap must be 0 to 2592000, not nan"),
    ({"jitter": 2}, "Retry.jitter must be 0 to 1, not 2"),
    ({"retry_on": OSError}, "Retry.retry_on must be a tuple of exception classes, as (OSError,), not "),
    ({"retry_on": (OSError, "ValueError")}, "Retry.retry_on must be a tuple of exception classes"),
    ({"dont_retry_on": [OSError]}, "Retry.dont_retry_on must be a tuple of exception classes"),
    ({"until": "soon"}, "Retry.until must be a timedelta or a number of seconds, not 'soon'"),
    ({"until": True}, "Retry.until must be a timedelta or a number of seconds, not True"),
    ({"until": 0}, "Retry.until must be more than 0 to 3660 days, not 0"),
    ({"until": timedelta(seconds=-1)}, "Retry.until must be more than 0 to 3660 days, not "),
    ({"until": datetime(2030, 1, 1)}, "Retry.until must know its time zone"),  # noqa: DTZ001 - a naive one is refused
    ({"until": datetime(3030, 1, 1, tzinfo=UTC)}, "is more than 3660 days ahead"),
    # Contradictions.
    ({"until": 0.5, "base": 1}, "Retry.until 0.5 is over before a second attempt can begin, which is 0.5 s after"),
    ({"until": 1, "base": 1, "backoff": "decorrelated"}, "which is 1 s after the first at the earliest"),
    (
        {"backoff": "decorrelated", "factor": 4},
        "Retry.factor 4 and Retry.jitter 0.5 are not for backoff='decorrelated'",
    ),
    ({"backoff": "decorrelated", "jitter": 0}, "Retry.factor 2.0 and Retry.jitter 0 are not for"),
    ({"retry_on": (ConnectionError,), "dont_retry_on": (OSError,)}, "nothing would be tried again"),
    ({"dont_retry_on": (Exception,)}, "nothing would be tried again; for one attempt say max_attempts=1"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG_RETRIES, ids=[str(fields) for fields, _ in WRONG_RETRIES])
def test_a_wrong_retry_policy_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        Retry(**fields)


def test_delays_of_each_backoff() -> None:
    def delays(retry: Retry) -> list[int]:
        return [retry.delay_ms(tries, chance=0) for tries in (1, 2, 3, 4)]

    assert delays(Retry(base=1, factor=2, cap=5)) == [1000, 2000, 4000, 5000]
    assert delays(Retry(base=1, backoff="linear")) == [1000, 2000, 3000, 4000]
    assert delays(Retry(base=1, backoff="constant")) == [1000] * 4
    assert Retry(base=1, factor=100, cap=7).delay_ms(1000, chance=0) == 7000
    assert Retry(base=1, jitter=0.5).delay_ms(1, chance=1) == 500
    assert {500 <= Retry(base=1).delay_ms(1) <= 1000 for _ in range(100)} == {True}


def test_a_policy_applies_to_its_exceptions_until_its_attempts_are_over() -> None:
    retry = Retry(max_attempts=3, retry_on=(OSError,), dont_retry_on=(FileNotFoundError,))
    assert (retry.applies(OSError(), 2), retry.applies(OSError(), 3)) == (True, False)
    assert (retry.applies(FileNotFoundError(), 1), retry.applies(ValueError(), 1)) == (False, False)
    assert Retry().applies(KeyboardInterrupt(), 1) is False
    again = Retry.from_wire(retry.to_wire(), Retry(retry_on=(KeyError,)))
    assert (again.max_attempts, again.retry_on) == (3, (KeyError,))
