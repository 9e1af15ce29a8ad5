"""The rules for names, ids, times and priorities. Each error says what is wrong, what was seen, and the rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tidemill.errors import InvalidInput
from tidemill.wire.keys import LANES

_QUEUE: Final = re.compile(r"[a-z0-9_.-]{1,64}")
_TASK: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_LABEL: Final = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_.:@=+/-]{1,128}")

# The id of an occurrence, `every:<name>:<time>`, has to be a valid job id.
MAX_RECURRING_CHARS: Final = 100
# A due time beyond this is a mistake (seconds taken for milliseconds, a wrong century), not a plan.
MAX_DELAY_DAYS: Final = 3660
# A unique key is hashed, so its length costs nothing in Redis; this only bounds the work of hashing it.
MAX_UNIQUE_CHARS: Final = 4096


def queue_name(value: object) -> str:
    if isinstance(value, str) and _QUEUE.fullmatch(value):
        return value
    raise InvalidInput(f"queue name {value!r} is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'")


def breaker_name(value: object) -> str:
    if isinstance(value, str) and _QUEUE.fullmatch(value):
        return value
    raise InvalidInput(f"breaker name {value!r} is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'")


def template_name(value: object) -> str:
    if isinstance(value, str) and _QUEUE.fullmatch(value):
        return value
    raise InvalidInput(f"template name {value!r} is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'")


def label_name(value: object) -> str:
    """A label of a template's versions. It begins with a letter, so that it is no number, and is not "newest"."""
    if isinstance(value, str) and _LABEL.fullmatch(value) and value != "newest":
        return value
    raise InvalidInput(
        f"label {value!r} is not valid: a letter, then up to 31 of a-z, 0-9, '_', '.', '-', and not 'newest', which "
        "always is the newest version"
    )


def task_name(value: object) -> str:
    if isinstance(value, str) and _TASK.fullmatch(value):
        return value
    raise InvalidInput(
        f"task name {value!r} is not valid: a letter or '_', then up to 127 of A-Z, a-z, 0-9, '_', '.', '-'"
    )


def recurring_name(value: object) -> str:
    if len(task_name(value)) <= MAX_RECURRING_CHARS:
        return task_name(value)
    raise InvalidInput(f"the name of a recurring job has at most {MAX_RECURRING_CHARS} characters, not {value!r}")


def job_id(value: object) -> str:
    if isinstance(value, str) and _JOB_ID.fullmatch(value):
        return value
    raise InvalidInput(f"job id {value!r} is not valid: 1 to 128 of A-Z, a-z, 0-9 and _ . : @ = + / -")


def priority(value: object) -> str:
    return one_of("priority", value, LANES)


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidInput(f"{name} {value!r} is not valid: one of {', '.join(repr(str(item)) for item in allowed)}")


def unique_key(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_UNIQUE_CHARS:
        return value
    raise InvalidInput(f"unique must be a text of 1 to {MAX_UNIQUE_CHARS} characters, not {str(value)[:40]!r}")


def duration_ms(name: str, value: object, *, zero: bool = True) -> int:
    """A timedelta or a number of seconds as whole milliseconds (a part of one counts as one)."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        raise InvalidInput(f"{name} must be a timedelta or a number of seconds, not {value!r}")
    if not 0 <= seconds <= MAX_DELAY_DAYS * 86_400 or (seconds == 0 and not zero):
        least = "0" if zero else "more than 0"
        raise InvalidInput(f"{name} must be {least} to {MAX_DELAY_DAYS} days, not {value!r}")
    return -int(-seconds * 1000 // 1)


def instant_ms(name: str, value: object) -> int:
    """An aware datetime as unix milliseconds, rounded up so that nothing is early. The past is allowed."""
    if not isinstance(value, datetime):
        raise InvalidInput(f"{name} must be a datetime, not {value!r}")
    if value.utcoffset() is None:
        raise InvalidInput(
            f"{name} must know its time zone: {value!r} is naive; use datetime(..., tzinfo=UTC) or .astimezone()"
        )
    if value - datetime.now(UTC) > timedelta(days=MAX_DELAY_DAYS):
        raise InvalidInput(f"{name} {value.isoformat()} is more than {MAX_DELAY_DAYS} days ahead")
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return max(0, -(-since // timedelta(milliseconds=1)))


def number(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise InvalidInput(f"{name} must be a number, not {value!r}")


def whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidInput(f"{name} must be a whole number from {least} to {most}, not {value!r}")


def flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidInput(f"{name} must be True or False, not {value!r}")
