"""The commands of those who look at dead letters, and of what is done to them by hand: see `tidemill.dead_letters`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.replies import pairs, text, texts, whole
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


class Hand(NamedTuple):
    """Who does something by hand, and why. `operation`: what the calls of one action share; `filter`: in words."""

    by: str
    reason: str = ""
    operation: str = ""
    filter: str = ""


class Requeue(NamedTuple):
    """A dead letter to be run again. `died`: its field `f` when it was looked at; "": whenever it has died.

    `body`: its new arguments; b"": those that it has.
    """

    job_id: str
    died: str = ""
    body: bytes = b""


class Sieve(NamedTuple):
    """Which dead letters are looked for: died from `since_ms` on and before `before_ms`; "" lets any through."""

    since_ms: int
    before_ms: int
    task: str = ""
    error: str = ""
    text: str = ""


class Letter(NamedTuple):
    """A dead letter of a page. `time`: that of its place. `died`: its field `f`. `message`: its beginning."""

    job_id: str
    time: str
    died: str
    task: str
    attempt: int
    uncounted: int
    crashes: int
    error: str
    message: str


class LetterPage(NamedTuple):
    """`place`: time and id to go on behind; ("", "") when that was all."""

    place: tuple[str, str]
    letters: list[Letter]


class Entry(NamedTuple):
    """An entry of a stream: its id, and its fields."""

    id: str
    fields: dict[str, str]


class DeadLettering(Shard):
    def browse(self, queue: str, sieve: Sieve, behind: tuple[str, str], page: int) -> Command[LetterPage]:
        """`page`: how many are looked at; those that the sieve holds back are not returned."""
        arguments = (sieve.since_ms, sieve.before_ms, *behind, page, sieve.task, sieve.error, sieve.text)
        return call(load("browse"), (self.keys.dead(queue),), arguments, _read_page)

    def requeue(
        self, letters: Sequence[Requeue], hand: Hand, now_ms: Argument = "", *, within_limits: bool = False
    ) -> Command[list[list[str]]]:
        """For each: [ready], [conflict, holder], [changed] (it has died again), [full] (its queue, if `within_limits`),
        or [state] when it is no dead letter ("" unknown, corrupt: can't be run)."""
        keys = (self.keys.audit, *(self.keys.job(letter.job_id) for letter in letters))
        words: list[Argument] = [now_ms, *hand, int(within_limits)]
        for letter in letters:
            words += letter
        return call(load("requeue"), keys, tuple(words), lambda reply: [texts(row) for row in reply])

    def discard(
        self, queue: str, letters: Sequence[tuple[str, str]], hand: Hand, now_ms: Argument = ""
    ) -> Command[list[str]]:
        """Letters as (id, died). For each: gone, changed (it has died again), or the state that it has ("" unknown)."""
        keys = (self.keys.audit, self.keys.dead(queue), *(self.keys.job(job_id) for job_id, _ in letters))
        return call(load("discard"), keys, (now_ms, *hand, queue, *chain.from_iterable(letters)), texts)

    def audit_entries(self, behind: str, count: int) -> Command[list[Entry]]:
        """What was done by hand, the last first, from behind the entry `behind` ("": from the last) on."""
        return _newest_first(self.keys.audit, behind, count)

    def event_entries(self, behind: str, count: int) -> Command[list[Entry]]:
        """The events that are still kept, the last first, as `audit_entries`."""
        return _newest_first(self.keys.events, behind, count)


def _newest_first(stream: str, behind: str, count: int) -> Command[list[Entry]]:
    def parse(reply: Any) -> list[Entry]:
        return [Entry(text(entry), {name: text(value) for name, value in pairs(fields)}) for entry, fields in reply]

    return Command(("XREVRANGE", stream, f"({behind}" if behind else "+", "-", "COUNT", count), parse)


def _read_page(reply: Any) -> LetterPage:
    time, last, letters = reply
    return LetterPage((text(time), text(last)), [_read_letter(row) for row in letters])


def _read_letter(row: Any) -> Letter:
    job_id, time, died, task, attempt, uncounted, crashes, error, message = row
    return Letter(
        text(job_id),
        text(time),
        text(died),
        text(task),
        whole(attempt),
        whole(uncounted),
        whole(crashes),
        text(error),
        text(message),
    )
