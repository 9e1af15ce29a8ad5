"""Goes through the dead letters that a filter lets through: queue by queue, in each the newest first.

A page is one short script, however many letters there are. Its place is the last letter that was looked at, by time and
id: letters that leave while somebody walks are not missed by others, and those that come are newer than all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tidemill import validation
from tidemill.dead_letters import settings
from tidemill.dead_letters.filters import Checked
from tidemill.errors import InvalidInput
from tidemill.wire.replies import milliseconds
from tidemill.wire.scripts import Letter, LetterPage, Sieve

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

_START: Final = ("", "")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as lists show it. `attempt`: attempts that counted; `died_ms`: unix time of the server's clock.

    `message` is the beginning of the error's message; the whole, and the traceback, are in its history.
    """

    id: str
    queue: str
    task: str
    attempt: int
    crashes: int
    died_ms: int
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """`cursor`: what to go on with; None when that was all."""

    letters: tuple[DeadLetter, ...]
    cursor: str | None


@dataclass(slots=True)
class Walk:
    """`queues`: those that are not over yet, the first of them under way. Begin with `begin`."""

    client: Client
    filter: Checked
    sieve: Sieve = field(default_factory=lambda: Sieve(0, 0))
    now_ms: int = 0
    queues: list[str] = field(default_factory=list[str])
    place: tuple[str, str] = _START

    @property
    def is_over(self) -> bool:
        return not self.queues

    @property
    def cursor(self) -> str | None:
        """Where to go on; None at the end."""
        return None if self.is_over else ",".join((self.queues[0], *self.place))

    def begin(self, cursor: str | None = None) -> Operation[None]:
        """Raises InvalidInput for a cursor that no walk has returned."""
        first, place = ("", _START) if cursor is None else _read_cursor(cursor)
        self.now_ms = yield self.client.scripts.server_time()
        self.sieve = self.filter.sieve(self.now_ms)
        if self.filter.queue is not None:
            self.queues = [self.filter.queue]
        else:
            names: list[str] = yield self.client.scripts.queue_names()
            self.queues = [name for name in names if name >= first]
        if self.queues and self.queues[0] == first:
            self.place = place

    def page(self) -> Operation[list[tuple[str, Letter]]]:
        """(queue, letter) of those of the next page that fit: possibly none, though there are more."""
        queue = self.queues[0]
        found: LetterPage = yield self.client.scripts.browse(queue, self.sieve, self.place, settings.PAGE_LETTERS)
        self.place = found.place
        if found.place == _START:
            del self.queues[0]
        return [(queue, letter) for letter in found.letters]

    def stop_behind(self, queue: str, letter: Letter) -> None:
        """The rest of a page is for the next walk."""
        self.queues = [queue, *(name for name in self.queues if name != queue)]
        self.place = (letter.time, letter.job_id)


def browse(client: Client, filter_: Checked, cursor: str | None, limit: int) -> Operation[DeadLetterPage]:
    """The next letters that fit, at most `limit`."""
    validation.whole("limit", limit, 1, 10_000)
    walk = Walk(client, filter_)
    yield from walk.begin(cursor)
    letters: list[tuple[str, Letter]] = []
    while not walk.is_over and len(letters) < limit:
        letters += yield from walk.page()
    if len(letters) > limit:
        walk.stop_behind(*letters[limit - 1])
    return DeadLetterPage(tuple(_shown(*one) for one in letters[:limit]), walk.cursor)


def counts(client: Client, filter_: Checked) -> Operation[dict[str, int]]:
    """How many letters there are of each type of error, the most frequent first."""
    walk = Walk(client, filter_)
    yield from walk.begin()
    found: dict[str, int] = {}
    while not walk.is_over:
        for _, letter in (yield from walk.page()):
            found[letter.error] = found.get(letter.error, 0) + 1
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _shown(queue: str, letter: Letter) -> DeadLetter:
    return DeadLetter(
        id=letter.job_id,
        queue=queue,
        task=letter.task,
        attempt=letter.attempt - letter.uncounted,
        crashes=letter.crashes,
        died_ms=milliseconds(letter.time) or 0,
        error=letter.error,
        message=letter.message,
    )


def _read_cursor(cursor: object) -> tuple[str, tuple[str, str]]:
    parts = cursor.split(",", 2) if isinstance(cursor, str) else []
    try:
        queue, time, job_id = parts
        validation.queue_name(queue)
        if time and not math.isfinite(float(time)):
            raise ValueError(time)
    except ValueError:
        raise InvalidInput(
            f"cursor {str(cursor)[:80]!r} is none of a page of dead letters: pass on the `cursor` of the last page"
        ) from None
    return queue, (time, job_id)
