"""What must be true of every history: pure functions from its lines to violations.

I1 nothing acknowledged is lost, nothing refused exists      I5 each end is accepted once, by the newest fence
I2 without a fault a job runs once                           I6 one job a unique key at a time, no lock is left
I3 no start before its time                                  I7 an id is one job, however often it is sent
I4 one terminal state, and it is the kind's                  I8 one effect a job, and one exactly if it succeeded
                                                             I10 nothing is buried for a neighbour's fault
(I9, memory and keys, is asked of the server: `witness.py`.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.application import FAILING_ATTEMPTS, RETRY_SECONDS
from chaos.reading import Execution, History

# Clocks are read in this order, but by two processes, in whole milliseconds at one of them.
EARLY_SECONDS: Final = 0.002
# What may come of a kind of job.
_ENDS: Final = {
    "hopeless": {"dead"},
    "poison": {"dead"},
    "expiring": {"succeeded", "expired"},
    "cancelled": {"succeeded", "cancelled"},
    "sheddable": {"succeeded", "expired"},
}
_BURIED_KINDS: Final = ("hopeless", "poison")
# A job is buried when its worker has died so often while it ran: see the scheduler's MAX_CRASHES.
BURYING_CRASHES: Final = 4


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    job: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.job}: {self.what}"


def check(history: History) -> list[Violation]:
    """All violations of all invariants."""
    return [found for invariant in INVARIANTS for found in invariant(history)]


def nothing_lost(history: History) -> Iterator[Violation]:
    for order in history.orders.values():
        terminal = history.final_state(order.job)
        if order.is_acked and terminal is None:
            seen = history.records.get(order.job, {}).get("state", "no record")
            yield Violation("I1", order.job, f"{order.kind} was acknowledged and did not end: {seen}")
        if order.is_refused and (terminal or order.job in history.records):
            yield Violation("I1", order.job, f"{order.kind} was refused and exists")


def runs_once_without_a_fault(history: History) -> Iterator[Violation]:
    for job, executions in history.executions.items():
        for earlier, later in pairwise(executions):
            if earlier.tries == later.tries and not history.is_explained(earlier, later.began):
                why = f"attempt {later.attempt} ran after {earlier.attempt}, and no fault had hit {earlier.process}"
                yield Violation("I2", job, why)


def no_early_start(history: History) -> Iterator[Violation]:
    for job, executions in history.executions.items():
        order = history.orders.get(job)
        if order is not None and order.delay:
            first = min(execution.began for execution in executions)
            if first < order.first_asked + order.delay - EARLY_SECONDS:
                yield Violation("I3", job, f"started {order.first_asked + order.delay - first:.3f} s early")
        yield from _early_retries(job, executions)


def _early_retries(job: str, executions: list[Execution]) -> Iterator[Violation]:
    failed: dict[int, float] = {}
    for execution in executions:
        if execution.outcome == "Failing" and execution.ended is not None:
            failed[execution.tries] = min(execution.ended, failed.get(execution.tries, execution.ended))
    for execution in executions:
        if execution.tries > 1:
            before = failed.get(execution.tries - 1)
            if before is None:
                yield Violation("I3", job, f"try {execution.tries} came, and none before it has failed")
            elif execution.began < before + RETRY_SECONDS - EARLY_SECONDS:
                yield Violation("I3", job, f"try {execution.tries} came {execution.began - before:.3f} s after failure")


def one_terminal_state(history: History) -> Iterator[Violation]:
    for job, ends in history.terminals.items():
        if len(ends) > 1:
            yield Violation("I4", job, f"{len(ends)} terminal states: {', '.join(ends)}")
        record = history.records.get(job)
        if record is not None and record["state"] != ends[-1]:
            yield Violation("I4", job, f"ended as {ends[-1]}, and its record says {record['state']}")
    for job, order in history.orders.items():
        end = history.final_state(job)
        if end is not None and end not in _ENDS.get(order.kind, {"succeeded"}) and end != "dead":  # dead: I10's
            yield Violation("I4", job, f"a job of kind {order.kind} ended as {end}")
        if "cancelled" in order.cancel_answers and end not in (None, "cancelled"):
            yield Violation("I4", job, f"its cancellation was acknowledged, and it ended as {end}")


def terminals_are_counted_once(history: History) -> Iterator[Violation]:
    """The counters of the queues are raised by the scripts that end jobs: another witness than the events."""
    ended = Counter(filter(None, map(history.final_state, history.jobs)))
    for state, total in history.counters.items():
        if total != ended[state] and state in ("succeeded", "dead", "cancelled", "expired"):
            yield Violation("I5", "*", f"{total} jobs were counted as {state}, {ended[state]} ended so")


def newest_attempt_ends(history: History) -> Iterator[Violation]:
    for job, record in history.records.items():
        newest = max((one.attempt for one in history.executions.get(job, [])), default=0)
        if newest > int(record.get("attempt", 0)):
            yield Violation("I5", job, f"attempt {newest} ran, and its record knows {record.get('attempt', 0)}")


def unique_keys_are_held_by_one(history: History) -> Iterator[Violation]:
    spans: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for job, record in history.records.items():
        order = history.orders.get(job)
        if order is not None and order.unique and "finished" in record:
            spans[order.unique].append((int(record["created"]), int(record["finished"]), job))
    for key, found in spans.items():
        found.sort()
        for (_, finished, job), (created, _, other) in pairwise(found):
            if created < finished:
                yield Violation("I6", other, f"was made for {key} {finished - created} ms before {job} had ended")


def an_id_is_one_job(history: History) -> Iterator[Violation]:
    for job, order in history.orders.items():
        strangers = order.answers - {job}
        if strangers and not order.unique:
            yield Violation("I7", job, f"was answered with {', '.join(sorted(strangers))}")


def one_effect(history: History) -> Iterator[Violation]:
    for job, count in history.effects.items():
        if count > 1:
            yield Violation("I8", job, f"{count} executions made its effect")
    for job in history.jobs:
        end, has_effect = history.final_state(job), job in history.effect_files
        if end == "succeeded" and not has_effect:
            yield Violation("I8", job, "succeeded without its effect")
        if end in ("dead", "expired") and has_effect and not history.executions.get(job):
            yield Violation("I8", job, f"is {end}, never ran, and has its effect")


def nobody_pays_for_a_neighbour(history: History) -> Iterator[Violation]:
    for job, order in history.orders.items():
        if history.final_state(job) != "dead" or order.kind in _BURIED_KINDS:
            continue
        crashes = history.records.get(job, {}).get("crashes", "0")
        deaths = [history.hit(one, float("inf")) for one in history.executions.get(job, [])]
        yield Violation("I10", job, f"a healthy job of kind {order.kind} was buried: {crashes} crashes, {deaths}")
    for job, order in history.orders.items():
        if order.kind == "poison" and history.final_state(job) == "dead":
            crashes = int(history.records.get(job, {}).get("crashes", 0))
            if crashes < BURYING_CRASHES:
                yield Violation("I10", job, f"was buried after {crashes} crashes")
        if order.kind == "hopeless" and history.final_state(job) == "dead":
            tries = max((one.tries for one in history.executions.get(job, [])), default=0)
            if tries < FAILING_ATTEMPTS:
                yield Violation("I10", job, f"was buried after {tries} tries")


INVARIANTS: Final[tuple[Callable[[History], Iterator[Violation]], ...]] = (
    nothing_lost,
    runs_once_without_a_fault,
    no_early_start,
    one_terminal_state,
    terminals_are_counted_once,
    newest_attempt_ends,
    unique_keys_are_held_by_one,
    an_id_is_one_job,
    one_effect,
    nobody_pays_for_a_neighbour,
)
