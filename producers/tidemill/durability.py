"""What a queue's durability asks of an enqueue, and whether a server can keep it.

| level | an enqueue that returned survives | how |
| --- | --- | --- |
| `aof` (default) | kill -9 of the server; a power cut costs about its last second | the server's append-only file |
| `fsync` | a power cut too | `appendfsync always`: the server answers when the job is on its disk |
| `replicated` | the loss of the primary too | WAIT for every replica that the primary then has, at least one |

A level that can't be kept is refused before anything is written: the script takes nothing for a level that the caller
did not claim, nor for `replicated` while no replica is connected. Replicas are counted by the script, in the same step
as the write, since they come and go; `fsync` is proved by the client, since a script may not read the configuration.

WAIT for some replicas is not enough: a failover may promote one of the others. Too few acknowledgements in time do not
undo the write, so then the outcome is unknown, and the same enqueue sent again waits again.

No more than the enqueue is waited for. What becomes of the job later (taken, settled) is as durable as the server's
configuration makes it: what a failover forgets of that has happened before and happens again, so the job runs at least
once, which its fence is there for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tidemill import settings
from tidemill.errors import ServerUnavailable, ServerUnsuitable, TidemillError
from tidemill.suitability import online_replicas
from tidemill.wire.command import Command
from tidemill.wire.dialogue import Attempt, Dialogue, Facts, Turns
from tidemill.wire.replies import pairs, text
from tidemill.wire.scripts import (
    EnqueueAnswer,
    Enqueued,
    Full,
    Fullness,
    NewJob,
    NewJobs,
    Pressed,
    Scripts,
    Unprepared,
    WhenFull,
)

if TYPE_CHECKING:
    from tidemill.connection import Link

Durability = Literal["aof", "fsync", "replicated"]
LEVELS: Final = ("aof", "fsync", "replicated")

# A configuration can be changed while it is relied upon: `fsync` is proved again after this time.
PROOF_SECONDS: Final = 60.0
# Of the time until the connection would be taken for lost, the share that a WAIT is given: the server looks for those
# that ran out ten times a second only, so its answer may be 0.1 s late.
WAIT_SHARE: Final = 0.5
# Less time than this is not worth another WAIT.
LEAST_WAIT_SECONDS: Final = 0.05
# WAITAOF is believed if it took this long in one of so many tries: where the file is synced once a second an honest one
# does, and one that answers sooner may not have waited at all (Valkey 9.1 does not: redis/redis#13793).
HONEST_WAITAOF_SECONDS: Final = 0.05
WAITAOF_TRIES: Final = 3

ALWAYS: Final = "appendfsync always"
WAITAOF: Final = "WAITAOF"


class Admitted(NamedTuple):
    """What became of each job; `fullness` of a queue that is filling up."""

    jobs: list[Enqueued]
    fullness: Fullness | None = None


def enqueue(
    scripts: Scripts, shared: NewJobs, new: Sequence[NewJob], when_full: WhenFull = ""
) -> Dialogue[Admitted | Full]:
    """Enqueues a chunk, and sees to its queue's durability. `when_full`: see `Producing.enqueue`.

    Raises ServerUnsuitable when the server can't keep it, ServerUnavailable when it was not confirmed in time.
    """
    return Dialogue(partial(_enqueue, scripts, shared, new, when_full))


def _enqueue(
    scripts: Scripts, shared: NewJobs, new: Sequence[NewJob], when_full: WhenFull, facts: Facts, attempt: Attempt
) -> Turns[Admitted | Full]:
    answer: EnqueueAnswer = yield scripts.enqueue(shared, new, keeps=_kept(facts), when_full=when_full)
    while isinstance(answer, Unprepared):
        yield from _prove(answer.durability, scripts, shared.queue, facts, attempt)
        answer = yield scripts.enqueue(shared, new, keeps=(answer.durability,), when_full=when_full)
    fullness = None
    match answer:
        case Full():
            return answer
        case Pressed():
            fullness, answer = answer.fullness, answer.answer
        case _:
            pass
    if isinstance(answer, list):
        return Admitted(answer, fullness)
    attempt.may_be_applied = True
    if answer.durability == "replicated":
        yield from _wait_for_replicas(shared.queue, answer.replicas, attempt)
    elif WAITAOF in facts:
        yield from _wait_for_disk(shared.queue, attempt)
    return Admitted(answer.jobs, fullness)


def set_level(scripts: Scripts, queue: str, level: str) -> Dialogue[None]:
    """Sets a queue's durability. Raises ServerUnsuitable, and changes nothing, if the server can't keep it."""
    return Dialogue(partial(_set_level, scripts, queue, level))


def _set_level(scripts: Scripts, queue: str, level: str, facts: Facts, attempt: Attempt) -> Turns[None]:
    facts.clear()  # what was proved a while ago is not good enough for a promise that begins now
    yield from _prove(level, scripts, queue, facts, attempt)
    yield scripts.configure(queue, {"durability": "" if level == "aof" else level})


def unkept(link: Link, scripts: Scripts) -> list[str]:
    """Why the server can't keep what its queues ask for, in words that say what to change. Where this user may not
    read the configuration it says nothing: those who enqueue are told.
    """
    names = link.run(scripts.queue_names())
    levels: list[str] = link.run_all([scripts.durability_of(name) for name in names]) if names else []
    found = [link.converse(Dialogue(partial(_check, *row))) for row in zip(names, levels, strict=True)]
    return [reason for reason in found if reason]


def _check(queue: str, level: str, _facts: Facts, _attempt: Attempt) -> Turns[str]:
    try:
        if level == "replicated":
            yield from _prove_replicas(queue)
        elif level == "fsync" and (found := (yield from _configuration())) is not None:
            _examine_configuration(queue, found)
    except ServerUnsuitable as error:
        return str(error)
    return ""


# -- what a server can keep -------------------------------------------------------------------------------------


def _kept(facts: Facts) -> tuple[str, ...]:
    """The levels that may be claimed on this connection."""
    if facts and time.monotonic() - max(facts.values()) < PROOF_SECONDS:
        return ("replicated", "fsync")
    return ("replicated",)


def _prove(level: str, scripts: Scripts, queue: str, facts: Facts, attempt: Attempt) -> Turns[None]:
    """Raises ServerUnsuitable, with what to change, if the server can't keep the level."""
    match level:
        case "aof":
            return
        case "replicated":
            yield from _prove_replicas(queue)
        case "fsync":
            yield from _prove_fsync(scripts, queue, facts, attempt)
        case _:
            raise ServerUnsuitable(
                f"queue {queue!r} has the durability {level!r}, which this release does not know (it knows "
                f"{', '.join(LEVELS)}): upgrade, or set another with `tidemill queues durability`"
            )


def _prove_replicas(queue: str) -> Turns[None]:
    count: int = yield Command(("INFO", "replication"), lambda reply: online_replicas(text(reply)))
    if not count:
        raise ServerUnsuitable(
            f"queue {queue!r} can't be replicated: the server has no replica that is online. Connect one "
            "(REPLICAOF on it, then wait for its first copy), or choose `fsync`"
        )


def _prove_fsync(scripts: Scripts, queue: str, facts: Facts, attempt: Attempt) -> Turns[None]:
    facts.clear()
    found = yield from _configuration()
    if found is None:
        yield from _prove_waitaof(scripts, queue, facts, attempt)
        return
    _examine_configuration(queue, found)
    facts[ALWAYS] = time.monotonic()


def _configuration() -> Turns[dict[str, str] | None]:
    """What the server does with its log; None: this user may not read it."""
    try:
        found: dict[str, str] = yield Command(("CONFIG", "GET", "*append*"), _config)
    except ServerUnsuitable:
        return None
    return found


def _examine_configuration(queue: str, found: dict[str, str]) -> None:
    for name, wanted in (("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")):
        if found.get(name) != wanted:
            raise ServerUnsuitable(
                f"queue {queue!r} can't have the durability fsync: the server's {name} is {found.get(name)}. "
                f"Set it to {wanted} (CONFIG SET {name} {wanted}, and in its configuration file)"
            )


def _prove_waitaof(scripts: Scripts, queue: str, facts: Facts, attempt: Attempt) -> Turns[None]:
    """Does WAITAOF wait? Seen from outside: syncing once a second, it can't be fast every time."""
    for _ in range(WAITAOF_TRIES):
        yield Command(("HSET", scripts.keys.queue(queue), "known", 1), int)
        began = time.monotonic()
        try:
            synced: int = yield _waitaof(_at_most(attempt))
        except TidemillError as error:
            raise _unproved(queue, f"and WAITAOF fails ({error})") from error
        if synced and time.monotonic() - began >= HONEST_WAITAOF_SECONDS:
            facts[WAITAOF] = time.monotonic()
            return
    raise _unproved(queue, "and its WAITAOF answers at once, as one does that does not wait")


def _unproved(queue: str, why: str) -> ServerUnsuitable:
    return ServerUnsuitable(
        f"queue {queue!r} can't have the durability fsync: the server does not let this user read whether appendfsync "
        f"is always, {why}. Set appendfsync to always, and allow this user CONFIG GET (+config|get)"
    )


def _config(reply: Any) -> dict[str, str]:
    return {name: text(value) for name, value in pairs(reply)}


# -- waiting ----------------------------------------------------------------------------------------------------


def _wait_for_replicas(queue: str, replicas: int, attempt: Attempt) -> Turns[None]:
    acknowledged = yield from _wait(lambda seconds: _wait_command(replicas, seconds), replicas, attempt)
    if acknowledged < replicas:
        raise ServerUnavailable(
            f"queue {queue!r} is replicated, and {acknowledged} of {replicas} replicas acknowledged in time"
        )


def _wait_for_disk(queue: str, attempt: Attempt) -> Turns[None]:
    if not (yield from _wait(_waitaof, 1, attempt)):
        raise ServerUnavailable(f"queue {queue!r} has the durability fsync, and the server's disk did not sync in time")


def _wait(command: Callable[[float], Command[int]], wanted: int, attempt: Attempt) -> Turns[int]:
    """Waits until as many have acknowledged, or the deadline; returns how many did."""
    while True:
        found: int = yield command(_at_most(attempt))
        if found >= wanted or attempt.seconds_left < LEAST_WAIT_SECONDS:
            return found


def _at_most(attempt: Attempt) -> float:
    return min(attempt.seconds_left, settings.REPLY_TIMEOUT_SECONDS) * WAIT_SHARE


def _wait_command(replicas: int, seconds: float) -> Command[int]:
    return Command(("WAIT", replicas, _milliseconds(seconds)), int)


def _waitaof(seconds: float) -> Command[int]:
    return Command(("WAITAOF", 1, 0, _milliseconds(seconds)), lambda reply: int(reply[0]))


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))  # 0 would mean for ever
