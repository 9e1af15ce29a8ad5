"""Which dead letters are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from tidemill import validation
from tidemill.dead_letters import settings
from tidemill.errors import InvalidInput
from tidemill.wire.scripts import Sieve

# An aware time, or how long ago.
When = datetime | timedelta


class Filter(TypedDict, total=False):
    """Letters that fit all that is given.

    queue: of this queue; without it, of all queues.
    task: the task's name.
    error: the type of the error, as it is shown: "ValueError", "payments.Declined".
    text: stands in the error's message, in exactly these letters.
    since, before: when it died: an aware datetime, or a timedelta for how long ago. `before=timedelta(days=30)` are
        those that are older than 30 days.
    """

    queue: str
    task: str
    error: str
    text: str
    since: When
    before: When


@dataclass(frozen=True, slots=True)
class Checked:
    """A filter that makes sense. Times are unix ms; negative ones count back from now, by the server's clock."""

    queue: str | None
    task: str
    error: str
    text: str
    since: When | None
    before: When | None

    @property
    def is_empty(self) -> bool:
        """It lets every letter of every queue through."""
        return self == NOTHING

    def sieve(self, now_ms: int) -> Sieve:
        """With its times by the server's clock. Raises InvalidInput when no letter can fit."""
        since_ms = 0 if self.since is None else _instant_ms("since", self.since, now_ms)
        # What dies from now on is not meant: a job that fails again at once would be retried for ever.
        before_ms = now_ms + 1 if self.before is None else _instant_ms("before", self.before, now_ms)
        if since_ms >= before_ms:
            raise InvalidInput(f"since must be earlier than before: {self.since!r} is not earlier than {self.before!r}")
        return Sieve(since_ms, before_ms, self.task, self.error, self.text)

    def words(self, now_ms: int) -> str:
        """For the audit."""
        parts = [
            f"{name}={value!r}"
            for name, value in (("queue", self.queue), ("task", self.task), ("error", self.error), ("text", self.text))
            if value
        ]
        parts += [
            f"{name}={_shown(_instant_ms(name, value, now_ms))}"
            for name, value in (("since", self.since), ("before", self.before))
            if value is not None
        ]
        return " ".join(parts)


NOTHING = Checked(None, "", "", "", None, None)


def checked(given: Filter) -> Checked:
    """Raises InvalidInput that names the part, what was seen and the rule."""
    unknown = set(given) - set(Filter.__annotations__)
    if unknown:
        known = ", ".join(Filter.__annotations__)
        raise InvalidInput(f"unknown filter {', '.join(sorted(unknown))}: one of {known}")
    return Checked(
        queue=validation.queue_name(given["queue"]) if "queue" in given else None,
        task=validation.task_name(given["task"]) if "task" in given else "",
        error=_text("error", given["error"]) if "error" in given else "",
        text=_text("text", given["text"]) if "text" in given else "",
        since=_when("since", given["since"]) if "since" in given else None,
        before=_when("before", given["before"]) if "before" in given else None,
    )


def checked_for_change(given: Filter) -> Checked:
    """As `checked`; a change of every letter there is has to be asked for."""
    found = checked(given)
    if found.is_empty:
        raise InvalidInput(
            "a filter is missing, so this would be every dead letter of every queue: give one of "
            f"{', '.join(Filter.__annotations__)}; before=timedelta(0) is all that are there now"
        )
    return found


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= settings.MAX_TEXT_CHARS and not _has_surrogates(value):
        return value
    raise InvalidInput(f"{name} must be a text of 1 to {settings.MAX_TEXT_CHARS} characters, not {str(value)[:40]!r}")


def _has_surrogates(value: str) -> bool:
    """As a command line may have, whose bytes are no UTF-8: no message in a record has them."""
    return any("\ud800" <= char <= "\udfff" for char in value)


def _when(name: str, value: object) -> When:
    if isinstance(value, timedelta):
        validation.duration_ms(name, value)
        return value
    if isinstance(value, datetime):
        validation.instant_ms(name, value)
        return value
    raise InvalidInput(f"{name} must be an aware datetime, or a timedelta for how long ago, not {value!r}")


def _instant_ms(name: str, value: When, now_ms: int) -> int:
    if isinstance(value, timedelta):
        ago_ms = validation.duration_ms(name, value)
        return now_ms + 1 - ago_ms if ago_ms == 0 else now_ms - ago_ms
    return validation.instant_ms(name, value)


def _shown(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
