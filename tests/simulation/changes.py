"""Invariants of one change: only the arrows of the state machine, by who may draw them, and at their time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from simulation.ledger import Asked, Ledger, Violation
from simulation.snapshot import LIVE, Fields, Snapshot
from tidemill.job import TRANSITIONS
from tidemill.wire.command import Command

# Arguments of one job, and where the first job begins, in the calls of a worker that end an attempt.
_ROWS: Final = {"complete": 4, "retry": 5, "park": 6, "bury": 4, "abandon": 3, "release": 3}
_FIRST_ROW: Final = {"release": 1}
_DEFAULT_FIRST_ROW: Final = 5
_INCARNATION: Final = {"release": 0}
# A job that its worker took, but does not know of: take hands it out again, or ends it, or puts it back in a pause.
_STRAYS: Final = frozenset({("running", "cancelled"), ("running", "expired"), ("running", "ready")})
_ENDS: Final = frozenset({"succeeded", "dead", "cancelled", "expired"})
_ARROWS: Final = {
    name: frozenset((str(before or ""), str(after)) for before, after in pairs) for name, pairs in TRANSITIONS.items()
}


@dataclass(frozen=True, slots=True)
class Change:
    """One command that was applied: the state before and after it, and what it answered."""

    script: str
    arguments: tuple[str, ...]
    before: Snapshot
    after: Snapshot
    answer: Any
    now_ms: int

    @property
    def incarnation(self) -> str:
        return self.arguments[_INCARNATION.get(self.script, 1)]


def arguments_of(command: Command[Any]) -> tuple[str, ...]:
    """ARGV as text."""
    words = command.words[3 + int(command.words[2]) :]
    return tuple(word.decode("latin-1") if isinstance(word, bytes) else str(word) for word in words)


def check(change: Change, ledger: Ledger, healthy: Collection[str]) -> None:
    """Raises Violation. `healthy`: incarnations that have renewed whenever they could."""
    before, after = change.before, change.after
    if before is not after:
        for job_id, asked in ledger.jobs.items():
            old, new = before.records.get(job_id), after.records.get(job_id)
            if old is not new and old != new:
                _check_job(change, asked, old, new, ledger)
        for incarnation in healthy:
            if incarnation in before.workers and incarnation not in after.workers:
                raise Violation(f"{incarnation} lives and renews its lease, but was taken for dead")
    if change.script in _ROWS:
        _check_settlements(change, ledger)


def _check_job(change: Change, asked: Asked, old: Fields | None, new: Fields | None, ledger: Ledger) -> None:
    before, after = (old.state if old else ""), (new.state if new else "")
    if asked.damaged and (before, after) != ("dead", "ready"):
        ledger.sometimes[f"{change.script}: {'ready' if change.script == 'take' else before} → {after}"] += 1
        _note_end(asked, after)
        return
    asked.damaged = False
    if before != after:
        _check_arrow(change, asked, before, after, ledger)
    if old and new and new.attempt != old.attempt and (change.script != "take" or after != "running"):
        raise Violation(f"{change.script} changed the attempt of {asked.id} from {old.attempt} to {new.attempt}")
    if new and after == "running" and change.script == "take":
        _check_start(change, asked, old, new, ledger)
    if change.script == "promote" and old and after == "ready" and int(old.due) > change.now_ms:
        raise Violation(f"{asked.id} was promoted {int(old.due) - change.now_ms} ms early")
    if change.script == "recover" and old and before == "running" and after != before:
        _check_recovery(change, asked, old)
    if after == "dead" and before != after:
        _check_burial(change, asked)


def _check_arrow(change: Change, asked: Asked, before: str, after: str, ledger: Ledger) -> None:
    arrows = _ARROWS.get(change.script, frozenset[tuple[str, str]]())
    if change.script == "take":
        arrows |= _STRAYS
    if not before:
        _note_creation(change, asked, after, ledger)
    elif not after:
        ends = [end for start, end in arrows if start == before and end not in LIVE]
        if before in LIVE and not ends:
            raise Violation(f"{asked.id} was {before}, and {change.script} has removed its record")
        _note_end(asked, ends[0] if before in LIVE else "")
        asked.dropped = True
        return
    if (before, after) not in arrows:
        raise Violation(f"{change.script} turned {asked.id} from {before or 'nothing'} into {after}")
    ledger.sometimes[f"{change.script}: {before or 'new'} → {after}"] += 1
    _note_end(asked, after)


def _note_creation(change: Change, asked: Asked, after: str, ledger: Ledger) -> None:
    if asked.made and not asked.dropped:
        raise Violation(f"{asked.id} was made again by {change.script}: its record had vanished")
    if asked.made:
        # An id is remembered for as long as its record: a call that is repeated later makes the job again.
        if change.script == "tick":
            raise Violation(f"the occurrence {asked.id} was made twice")
        ledger.sometimes["made again after retention"] += 1
        asked.remade = any(ticket.job_id == asked.id for ticket in change.before.tickets)
    asked.made, asked.dropped = True, False


def _note_end(asked: Asked, state: str) -> None:
    if state in LIVE:
        asked.ended = ""
    elif state in _ENDS:
        asked.ended = state


def _check_start(change: Change, asked: Asked, old: Fields | None, new: Fields, ledger: Ledger) -> None:
    if old is None or new.lease != change.incarnation:
        raise Violation(f"{asked.id} was taken for {new.lease} by {change.incarnation}")
    if int(new.attempt) != int(old.attempt or 0) + 1:
        raise Violation(f"{asked.id} was taken, and its attempt went from {old.attempt} to {new.attempt}")
    if change.incarnation not in change.before.workers:
        raise Violation(f"{asked.id} was taken by {change.incarnation}, which holds no lease")
    if old.state == "ready" and (old.cancel or (old.expires and int(old.expires) <= change.now_ms)):
        raise Violation(f"{asked.id} was started although it is cancelled or expired")
    if old.due and int(old.due) > change.now_ms and asked.starts == 0 and old.state == "scheduled":
        raise Violation(f"{asked.id} was started {int(old.due) - change.now_ms} ms early")
    asked.starts += 1
    ledger.sometimes["stray taken again"] += old.state == "running"


def _check_recovery(change: Change, asked: Asked, old: Fields) -> None:
    if old.lease != change.incarnation:
        raise Violation(f"{asked.id} runs at {old.lease}, but was recovered from {change.incarnation}")
    if change.before.workers.get(old.lease, 0) > change.now_ms:
        raise Violation(f"{asked.id} was recovered from {old.lease}, whose lease lives")


def _check_burial(change: Change, asked: Asked) -> None:
    """Only a job that has failed, or killed its workers, by itself."""
    culprits = {"recover": ("poison",), "bury": ("broken",)}
    if asked.kind not in culprits.get(change.script, ()):
        raise Violation(f"{asked.id}, which is {asked.kind}, was buried by {change.script}")


def _check_settlements(change: Change, ledger: Ledger) -> None:
    width, first = _ROWS[change.script], _FIRST_ROW.get(change.script, _DEFAULT_FIRST_ROW)
    rows = [change.arguments[i : i + width] for i in range(first, len(change.arguments), width)]
    for (job_id, _, attempt, *_), code in zip(rows, change.answer, strict=True):
        fence = (job_id, change.incarnation, attempt)
        old = change.before.records.get(job_id)
        is_held = old is not None and old[0] == "running" and (old.lease, old.attempt) == fence[1:]
        if is_held != (code == 1) and not ledger.jobs[job_id].damaged:
            raise Violation(
                f"{change.script} of {fence} answered {code}; its fence {'holds' if is_held else 'is void'}"
            )
        ended_so = old is not None and ("running", old.state) in _ARROWS[change.script]
        if code == 2 and ledger.settled.get(fence) != change.script and not ended_so:
            raise Violation(f"{change.script} of {fence} was answered as done before, but was not")
        if code == 1:
            ledger.settled[fence] = change.script
        ledger.sometimes[("fenced", f"{change.script} accepted", "settlement repeated")[code]] += 1
