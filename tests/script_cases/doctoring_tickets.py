"""What the doctor finds of tickets, and of jobs that have none."""

from __future__ import annotations

from script_cases.doctoring import NOTHING
from script_state import NOW, Call, Case, State, after, but, job, tickets


def _tickets(*, repair: bool = True, moved_on_ms: int = -1_000) -> Call:
    """Every worker counts as one that has read again, unless `moved_on_ms` says otherwise."""
    return lambda world: world.scripts.check_tickets(
        "q", "normal", cursor="", page=100, moved_on_ms=moved_on_ms, repair=repair
    )


def _reinstate(*jobs: tuple[str, str], repair: bool = True) -> Call:
    return lambda world: world.scripts.reinstate([(one, mark.encode()) for one, mark in jobs], repair=repair)


HELD: State = {
    "job:own": job("running", l="w1", a=1),
    "job:late": job("ready"),
    "job:other": job("running", l="w2", a=1),
    "job:over": job("cancelled"),
    "job:waits": job("cancelled"),
    "done:q": {"over": 1, "waits": 1},
    "workers": {"w1": NOW, "w2": NOW},
    "ready:q:normal": tickets("own@w1", "other@w2", "late@w1", "other@w1", "over@w1", "gone@w1", "over@dead", "waits"),
}

HELD_TICKETS = [("own", "w1"), ("other", "w2"), ("late", "w1"), ("over", "dead"), ("waits", "")]

REUSED: State = {
    "job:a": job("ready", q="other"),
    "job:b": job("running", q="other", l="w1", a=1),
    "ready:other:normal": tickets("b@w1", "a"),
    "workers": {"w1": NOW},
    "ready:q:normal": tickets("a@w1", "b@w1", "a"),
}

CHECK_TICKETS = [
    Case(
        "check_tickets",
        "a ticket of an earlier job, whose id another queue's job has now, is no ticket of that",
        REUSED,
        _tickets(),
        after(REUSED, {"ready:q:normal": tickets("a")}),
        ("", [("a", "")], [("ticket_without_job", "a", "w1", True), ("ticket_without_job", "b", "w1", True)]),
    ),
    Case(
        "check_tickets",
        "a worker that has read on has left these tickets behind",
        HELD,
        _tickets(),
        after(HELD, {"ready:q:normal": tickets("own@w1", "other@w2", "over@dead", "waits", "late")}),
        (
            "",
            HELD_TICKETS,
            [
                ("ticket_not_taken", "late", "w1", True),
                ("ticket_without_job", "other", "w1", True),
                ("ticket_without_job", "over", "w1", True),
                ("ticket_without_job", "gone", "w1", True),
            ],
        ),
    ),
    Case(
        "check_tickets",
        "one that has not read since may yet take them, or drop them",
        HELD,
        _tickets(moved_on_ms=60_000),
        HELD,
        ("", [*HELD_TICKETS[:3], ("other", "w1"), ("over", "w1"), ("gone", "w1"), *HELD_TICKETS[3:]], NOTHING),
    ),
    Case(
        "check_tickets",
        "what waits is fine, whatever became of its job",
        {"job:a": job("ready"), "ready:q:normal": tickets("a", "gone", group=False)},
        _tickets(),
        {"job:a": job("ready"), "ready:q:normal": tickets("a", "gone", group=False)},
        ("", [("a", ""), ("gone", "")], NOTHING),
    ),
]

LOST: State = {
    "job:a": job("ready", p="high"),
    "job:b": job("running", l="dead", a=2, n=NOW + 9, m="progress"),
    "job:e": job("running", l="dead", a=2, k=1, h=1),
    "job:c": job("running", l="w1", a=1),
    "job:d": job("ready", a=1),
    "workers": {"w1": NOW},
}

REINSTATE = [
    Case(
        "reinstate",
        "a ready job gets a ticket and a new fence; one that runs nowhere is ready again; a worker's own stays",
        LOST,
        _reinstate(
            ("a", "ready    7"),
            ("b", "running dead 2  7"),
            ("c", "running w1 1  7"),
            ("d", "ready    7"),
            ("e", "running dead 2  7"),
        ),
        after(
            LOST,
            {
                "job:a": job("ready", p="high", a=1, v=1),
                "job:b": but(job("running", l="dead", a=2, n=NOW + 9), s="ready", k=1, v=1, m=None),
                "ready:q:high": tickets("a", group=False),
                "job:e": job("ready", l="dead", a=2, k=1, v=1),
                "ready:q:normal": tickets("b", "e", group=False),
                "expiring": {"b": NOW + 9},
                "events": ["reinstate a b e"],
            },
        ),
        [
            ("ready_without_ticket", "a", "", True),
            ("running_without_ticket", "b", "", True),
            ("running_without_ticket", "c", "w1", False),
            ("running_without_ticket", "e", "", True),
        ],
        ("alarm",),
    ),
    Case(
        "reinstate",
        "looking changes nothing",
        LOST,
        _reinstate(("a", "ready    7"), ("b", "running dead 2  7"), repair=False),
        LOST,
        [("ready_without_ticket", "a", "", False), ("running_without_ticket", "b", "", False)],
    ),
]

CASES = [*CHECK_TICKETS, *REINSTATE]
