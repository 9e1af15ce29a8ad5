"""The commands of those who enqueue jobs, wait for them and steer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple, cast

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.replies import milliseconds, text, texts
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


@dataclass(slots=True)  # not frozen: as `Command`
class NewJobs:
    """What the jobs of one enqueue call share. `due_ms` is unix time; without it, `delay_ms` counts from now.

    `limits`: of each job, a line each, or one for all: see `tidemill.limits`.
    `tenants`: the digest of the tenant of all, one of each joined (of "-" alone: none), or "".
    """

    queue: str
    task: str
    priority: str = "normal"
    due_ms: int | None = None
    delay_ms: int = 0
    expires_ms: int | None = None
    result_ttl_ms: int | None = None
    options: bytes = b""
    trace: str = ""
    limits: str = ""
    tenants: str = ""


class NewJob(NamedTuple):
    """`unique` is the digest of the unique key, or ""; see `Keys.digest`."""

    id: str
    unique: str
    body: bytes


class Enqueued(NamedTuple):
    """`code`: ready, scheduled, exists, conflict or full (it did not get in). `state`: the job's, or at a conflict that
    of the `holder`.

    `holder`: the id of the job that holds the unique key; "" unless `code` is conflict.
    """

    code: str
    holder: str
    state: str


WhenFull = Literal["", "partial", "defer", "shed"]
Limit = Literal["jobs", "bytes", "age", "deadline", "tenant"]


class Fullness(NamedTuple):
    """How full a queue is: what of its nearest limit is used, in jobs, in bytes of arguments, or in ms of age.

    `deadline`: there may be room, but a job would wait for `used` ms, and is to live for `limit`. `thousandths`: of the
    limit, with the new jobs. `until_room_ms`: until less than 85 % are used, if nothing more comes; None: not known.
    `tenant`: the digest of the one whose limit it is.
    """

    thousandths: int
    of: Limit
    used: int
    limit: int
    until_room_ms: int | None
    tenant: str = ""


class Full(NamedTuple):
    """The queue had no room for the chunk; nothing of it was enqueued."""

    fullness: Fullness


class Unprepared(NamedTuple):
    """The queue asks for a durability that the caller did not claim to keep; nothing was enqueued."""

    durability: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The answers of a queue with a durability; `replicas`: how many have to acknowledge them if it is `replicated`."""

    durability: str
    replicas: int
    jobs: list[Enqueued]


@dataclass(frozen=True, slots=True)
class Pressed:
    """The answer of a queue that is filling up."""

    fullness: Fullness
    answer: list[Enqueued] | Unconfirmed


EnqueueAnswer = list[Enqueued] | Unconfirmed | Pressed | Full | Unprepared


class Producing(Shard):
    def enqueue(
        self,
        shared: NewJobs,
        jobs: Sequence[NewJob],
        now_ms: Argument = "",
        keeps: Sequence[str] = (),
        when_full: WhenFull = "",
    ) -> Command[EnqueueAnswer]:
        """`keeps`: the durability levels that the caller will see to. `when_full`: of a chunk without room as a whole,
        the first jobs get in, as many as have room (`partial`), or all go into the wheel until there is (`defer`), or
        all get in, and others that wait go (`shed`).
        """
        words: list[Argument] = [
            now_ms,
            shared.queue,
            shared.task,
            shared.priority,
            "" if shared.due_ms is None else shared.due_ms,
            shared.delay_ms,
            "" if shared.expires_ms is None else shared.expires_ms,
            "" if shared.result_ttl_ms is None else shared.result_ttl_ms,
            shared.options,
            shared.trace,
            " ".join(keeps),
            when_full,
            shared.limits,
            shared.tenants,
        ]
        words.extend(chain.from_iterable(jobs))
        return call(load("enqueue"), (self.keys.queue(shared.queue),), tuple(words), _read_enqueued)

    def cancel(self, job_ids: Sequence[str], now_ms: Argument = "") -> Command[list[str]]:
        """For each job: cancelled, running (its worker is told), the terminal state that it has, "" (unknown)."""
        keys = tuple(self.keys.job(job_id) for job_id in job_ids)
        return call(load("cancel"), keys, (now_ms, *self.kept, *job_ids), texts)

    def watch(self, job_id: str, waiter: str) -> Command[str]:
        """The state; "" when the job is unknown."""
        return call(load("watch"), (self.keys.job(job_id),), (job_id, waiter), text)

    def declare(self, name: str, definition: bytes, next_ms: int) -> Command[int]:
        """1: new or changed; 0: known as it is."""
        keys = (self.keys.recurring, self.keys.occurrences)
        return call(load("declare"), keys, (name, definition, next_ms), int)

    def undeclare(self, name: str) -> Command[int]:
        """1: it was known."""
        return call(load("undeclare"), (self.keys.recurring, self.keys.occurrences), (name,), int)

    def task_queue(self, task: str) -> Command[str]:
        """The default queue of a task, as workers declared it; "" when no worker ever did."""
        return Command(("HGET", self.keys.tasks, task), text)


def _read_enqueued(reply: Any) -> EnqueueAnswer:
    match int(reply[0]):
        case 0:
            return Full(_fullness(reply))
        case 2:
            return Unprepared(text(reply[1]))
        case 4:
            return Pressed(_fullness(reply), _read_accepted(reply[6]))
        case _:
            return _read_accepted(reply)


def _read_accepted(reply: Any) -> list[Enqueued] | Unconfirmed:
    if int(reply[0]) == 1:
        return _each(reply[1:])
    return Unconfirmed(text(reply[1]), int(reply[2]), _each(reply[3:]))


def _fullness(reply: Any) -> Fullness:
    of, _, tenant = text(reply[2]).partition(":")
    return Fullness(int(reply[1]), cast(Limit, of), int(reply[3]), int(reply[4]), milliseconds(reply[5]), tenant)


def _each(words: Sequence[Any]) -> list[Enqueued]:
    found = iter(words)
    return list(map(_enqueued, found, found, found))


# Nearly all answers are one of a few, so each of these is read once.
@lru_cache(maxsize=64)
def _enqueued(code: bytes, holder: bytes, state: bytes) -> Enqueued:
    return Enqueued(text(code), text(holder), text(state))
