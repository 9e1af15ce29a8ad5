"""A history as the checker reads it: orders, executions, ends, and what hit the processes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.history import Line

# How an event of the server ends a job.
ENDING_EVENTS: Final = {
    "complete": "succeeded",
    "bury": "dead",
    "cancel": "cancelled",
    "expire": "expired",
    "shed": "expired",
}
TERMINAL_STATES: Final = frozenset(ENDING_EVENTS.values())
# While these last, nobody reaches the server.
_OUTAGES: Final = ("swallow", "stall", "kill server", "CLIENT PAUSE", "DEBUG SLEEP")
# A process that was hit so long before another execution began may be why.
_BLAMED_SECONDS: Final = 20.0


@dataclass(slots=True)
class Order:
    """What producers have asked for under one id, and what they were told."""

    job: str
    kind: str
    first_asked: float
    delay: float = 0.0
    unique: str = ""
    answers: set[str] = field(default_factory=set[str])
    cancel_answers: set[str] = field(default_factory=set[str])
    asked: int = 0
    refused: int = 0
    unknown: int = 0
    asked_by: str = ""

    @property
    def is_acked(self) -> bool:
        return self.job in self.answers

    @property
    def is_refused(self) -> bool:
        """Every time that it was asked for: it was refused for certain, or another job held its unique key."""
        return not self.is_acked and self.asked == self.refused + len(self.answers)


@dataclass(slots=True)
class Execution:
    """A job's function in one process. `ended` None: it was cut off."""

    job: str
    process: str
    incarnation: str
    attempt: int
    tries: int
    began: float
    ended: float | None = None
    outcome: str = ""


class History:
    """`effect_files`: the jobs whose effect exists. `logs`: what the processes have logged."""

    def __init__(self, lines: Sequence[Line], effect_files: Iterable[str] = (), logs: Sequence[Line] = ()) -> None:
        self.effect_files = frozenset(effect_files)
        self.orders: dict[str, Order] = {}
        self.executions: dict[str, list[Execution]] = defaultdict(list)
        self.terminals: dict[str, list[str]] = defaultdict(list)
        self.records: dict[str, dict[str, Any]] = {}
        self.counters: Counter[str] = Counter()
        self.effects: Counter[str] = Counter()
        self.absorbed_effects = 0
        self.faults: list[Line] = []
        self.refusals: Counter[str] = Counter()
        self.logged: Counter[str] = Counter(line["event"] for line in logs if "event" in line)
        self._lost_leases = {line.get("worker") for line in logs if line.get("event") == "lease.lost"}
        self._presence: list[tuple[float, str, bool]] = []
        self._batches: dict[str, float] = {}
        self._open: dict[tuple[str, str, int], Execution] = {}
        self._hits: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self._renewed: dict[str, float] = {}
        self.healed_at: float | None = None
        for line in lines:
            reader = getattr(self, f"_read_{line['op']}", None)
            if reader is not None:
                reader(line)
        for found in self.executions.values():
            found.sort(key=lambda execution: execution.attempt)

    # -- lines --------------------------------------------------------------------------------------------------

    def _read_enqueue(self, line: Line) -> None:
        job = line["job"]
        if line["type"] == "invoke":
            order = self.orders.setdefault(job, Order(job, line["kind"], line["t"]))
            order.delay, order.unique = line.get("delay", 0.0), line.get("unique", "")
            order.asked_by = line["proc"]
            order.asked += 1
            return
        order = self.orders[job]
        if line["type"] == "ok":
            order.answers.add(line["answer"])
        elif line["type"] == "fail":
            order.refused += 1
            self.refusals[line["why"]] += 1
        else:
            order.unknown += 1

    def _read_batch(self, line: Line) -> None:
        if line["type"] == "invoke":
            self._batches[line["batch"]] = line["t"]
        elif line["type"] == "fail":
            self.refusals[line["why"]] += 1
        for job in line.get("jobs", ()):
            order = self.orders.setdefault(job, Order(job, line.get("kind", "batch"), self._batches[line["batch"]]))
            order.asked_by = line["proc"]
            order.asked += 1
            if line["type"] == "ok":
                order.answers.add(job)
            else:
                order.unknown += 1

    def _read_cancel(self, line: Line) -> None:
        if line["type"] == "ok":
            self.orders[line["job"]].cancel_answers.add(line["state"])

    def _read_start(self, line: Line) -> None:
        key = line["job"], line["inc"], line["attempt"]
        execution = Execution(line["job"], line["proc"], line["inc"], line["attempt"], line["tries"], line["t"])
        self._open[key] = execution
        self.executions[line["job"]].append(execution)

    def _read_end(self, line: Line) -> None:
        execution = self._open.get((line["job"], line["inc"], line["attempt"]))
        if execution is not None:
            execution.ended, execution.outcome = line["t"], line["outcome"]

    def _read_effect(self, line: Line) -> None:
        if line["first"]:
            self.effects[line["job"]] += 1
        else:
            self.absorbed_effects += 1

    def _read_die(self, line: Line) -> None:
        self._hits[line["proc"]].append((line["t"], f"killed by {line['job']}"))

    def _read_fault(self, line: Line) -> None:
        self.faults.append(line)
        if line["target"] is not None:
            self._hits[line["target"]].append((line["t"], line["kind"]))
            if line["kind"] in ("stop", "continue"):
                self._presence.append((line["t"], line["target"], line["kind"] == "continue"))

    def _read_spawn(self, line: Line) -> None:
        self._presence.append((line["t"], line["target"], True))

    def _read_exit(self, line: Line) -> None:
        self._presence.append((line["t"], line["target"], False))
        self._hits[line["target"]].append((line["t"], f"exit {line['code']}"))

    def _read_renewal(self, line: Line) -> None:
        self._renewed.update(line["renewed"])

    def _read_healed(self, line: Line) -> None:
        self.healed_at = line["t"]

    def _read_event(self, line: Line) -> None:
        state = ENDING_EVENTS.get(line["event"])
        if state is not None:
            for job in line["jobs"]:
                self.terminals[job].append(state)

    def _read_record(self, line: Line) -> None:
        self.records[line["job"]] = line

    def _read_counter(self, line: Line) -> None:
        self.counters[line["name"]] += line["value"]

    # -- questions ----------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> set[str]:
        return set(self.orders) | set(self.records) | set(self.terminals)

    def final_state(self, job: str) -> str | None:
        """How it ended; by its record, and by its event if its record is not kept. None: it has not ended."""
        record = self.records.get(job)
        if record is not None:
            state: str = record.get("state", "")
            return state if state in TERMINAL_STATES else None
        ends = self.terminals.get(job)
        return ends[-1] if ends else None

    def was_killed(self, process: str) -> bool:
        return any(what.startswith("kill") for _, what in self._hits[process])

    def hit(self, execution: Execution, until: float) -> tuple[float, str] | None:
        """What hit its process while it ran, and when that took its life: (when, what).

        A process that is stopped is not dead: if it goes on in time and renews its lease it has survived that, and what
        counts is what hits it next. If nothing does, its last sign of life is that renewal.
        """
        end = until if execution.ended is None else min(until, execution.ended)
        renewed = self._renewed.get(execution.incarnation, 0.0)
        survived: tuple[float, str] | None = None
        for at, what in self._hits[execution.process]:
            if not execution.began <= at <= end or what == "continue":
                continue
            if what != "stop" or at >= renewed:
                return at, what
            survived = renewed, what
        return survived

    def faults_between(self, begin: float, end: float) -> Iterator[str]:
        """What the nemesis did after the one time and before the other."""
        for fault in self.faults:
            if begin < fault["t"] < end:
                yield f"{fault['kind']} {fault['seconds']:g} s" if fault.get("seconds") else fault["kind"]

    def away_seconds(self, begin: float, end: float) -> float:
        """For how much of this time no recovery was possible: the server was out of reach, or all schedulers or all
        workers were dead or stopped."""
        spans = [
            (fault["t"], fault["t"] + fault["seconds"]) for fault in self.faults if fault["kind"].startswith(_OUTAGES)
        ]
        spans += self._absences("scheduler", end)
        spans += self._absences(("worker", "supervised"), end)
        total, covered_until = 0.0, begin
        for start, stop in sorted(spans):
            total += max(0.0, min(stop, end) - max(start, covered_until))
            covered_until = max(covered_until, min(stop, end))
        return total

    def _absences(self, roles: str | tuple[str, ...], end: float) -> Iterator[tuple[float, float]]:
        """When no process of these roles was up."""
        present: set[str] = set()
        since = 0.0
        for at, name, is_up in sorted(self._presence):
            if not name.startswith(roles):
                continue
            was_away = not present
            if is_up:
                present.add(name)
            else:
                present.discard(name)
            if was_away and present:
                yield since, at
            if not was_away and not present:
                since = at
        if not present:
            yield since, end

    def is_explained(self, execution: Execution, until: float) -> bool:
        """Is there a reason that this job ran again at `until`: its process was hit, or has lost its lease?"""
        if execution.incarnation in self._lost_leases:
            return True
        began = min(execution.began, until) - _BLAMED_SECONDS
        return any(began <= at <= until for at, _ in self._hits[execution.process])
