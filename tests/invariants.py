"""What must be true of the keys of a server between any two script calls, whatever came before.

Pure functions of a whole state, as `script_state.World.dump` reads it. Each returns what is wrong, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from script_state import State, Tickets, without_place

Fields = Mapping[str, str]


def violations(state: State, now_ms: int) -> list[str]:
    """All that is wrong with this state."""
    return [
        *(f"{job_id} is nowhere: {state['job:' + job_id]}" for job_id in without_place(state)),
        *_wrong_places(state),
        *_tickets(state),
        *_late_agenda(state, now_ms),
        *_locks(state),
        *_expiry(state),
        *_retention(state),
        *_parked(state),
        *_limits(state),
        *_turns(state),
    ]


def _jobs(state: State) -> Iterator[tuple[str, Fields]]:
    return ((key.removeprefix("job:"), value) for key, value in state.items() if key.startswith("job:"))


def _places(state: State, prefix: str) -> Iterator[tuple[str, Any]]:
    return ((key.removeprefix(prefix), value) for key, value in state.items() if key.startswith(prefix))


def _is_waiting(record: Fields) -> bool:
    return record["s"] in ("scheduled", "ready")


def _wrong_places(state: State) -> Iterator[str]:
    """A place holds only jobs that belong there."""
    for prefix, states in (
        ("wheel:", ("scheduled",)),
        ("dead:", ("dead",)),
        ("done:", ("succeeded", "cancelled", "expired")),
    ):
        for queue, ids in _places(state, prefix):
            for job_id in ids:
                record = state.get(f"job:{job_id}")
                if record is None or record["s"] not in states or record["q"] != queue:
                    yield f"{prefix}{queue} holds {job_id}, which is {record}"


def _tickets(state: State) -> Iterator[str]:
    """XACK and XDEL go together. (A job may have several tickets: one of an earlier job of the same id may be left.)"""
    for key, value in state.items():
        if not isinstance(value, Tickets):
            continue
        for entry in value.entries:
            if entry.endswith("!") or entry.startswith("(deleted)"):
                yield f"{key} has an entry that is acknowledged and not deleted, or the reverse: {entry}"


def _late_agenda(state: State, now_ms: int) -> Iterator[str]:
    agenda: Mapping[str, int] = state.get("agenda", {})
    for queue, ids in _places(state, "wheel:"):
        earliest = min(ids.values())
        looked_at = agenda.get(queue)
        if looked_at is None or looked_at > max(earliest, now_ms):
            yield f"the agenda has {queue} at {looked_at}, but a job in its wheel is due at {earliest}"


def _locks(state: State) -> Iterator[str]:
    """A unique key is held by its job for as long as that is not over, and by no other."""
    for digest, holder in _places(state, "unique:"):
        record = state.get(f"job:{holder}")
        if record is None or record.get("u") != digest or record["s"] in ("succeeded", "dead", "cancelled", "expired"):
            yield f"unique:{digest} is held by {holder}, which is {record}"
    for job_id, record in _jobs(state):
        under_way = record["s"] in ("scheduled", "ready", "running")
        if under_way and record.get("u") and state.get(f"unique:{record['u']}") != job_id:
            yield f"{job_id} does not hold its unique key: {state.get('unique:' + record['u'])} does"


def _expiry(state: State) -> Iterator[str]:
    expiring: Mapping[str, int] = state.get("expiring", {})
    for job_id, record in _jobs(state):
        if _is_waiting(record) and "n" in record and expiring.get(job_id) != int(record["n"]):
            yield f"{job_id} expires at {record['n']}, but the index says {expiring.get(job_id)}"
    for job_id in expiring:
        if not _is_waiting(state.get(f"job:{job_id}", {"s": "gone"})):
            yield f"the index of what expires holds {job_id}, which does not wait"


def _retention(state: State) -> Iterator[str]:
    """What is over stands where retention finds it: a record that is nowhere would never be dropped."""
    for job_id, record in _jobs(state):
        place = {"dead": "dead:", "succeeded": "done:", "cancelled": "done:", "expired": "done:"}.get(record["s"])
        if place and job_id not in state.get(place + record["q"], {}):
            yield f"{job_id} is {record['s']}, but retention does not know it"


def _limits(state: State) -> Iterator[str]:
    """Who stands in line waits for that limit, who holds a permit runs, and the reverse; a line is looked at."""
    for prefix, states in (("line:", ("scheduled",)), ("called:", ("ready",)), ("permits:", ("running",))):
        for limit, ids in _places(state, prefix):
            for job_id in ids:
                record = state.get(f"job:{job_id}", {"s": "gone"})
                if record["s"] not in states or limit not in _limits_of(record):
                    yield f"{prefix}{limit} holds {job_id}, which is {record}"
    for limit, _ in _places(state, "line:"):
        if f"line:{limit}" not in state.get("agenda", {}):
            yield f"nobody looks at the line of {limit}"
    for job_id, record in _jobs(state):
        is_in_line = any(job_id in state.get(f"line:{limit}", {}) for limit in _limits_of(record))
        if record["s"] == "scheduled" and "i" in record and not is_in_line:
            yield f"{job_id} waits for a limit, but stands in no line: {record}"


def _limits_of(record: Fields) -> list[str]:
    return [word.partition(":")[0] for word in record.get("li", "").split()]


def _parked(state: State) -> Iterator[str]:
    for task, ids in _places(state, "parked:"):
        for job_id in ids:
            record = state.get(f"job:{job_id}", {"s": "gone"})
            if record["s"] != "scheduled" or "y" not in record:
                yield f"parked:{task} holds {job_id}, which is {record}"


def _turns(state: State) -> Iterator[str]:
    """Exactly those tenants have a turn who have jobs in line; these are READY, and counted."""
    waiting = dict[tuple[str, str], int]()
    for name, ids in _places(state, "tenant:"):
        queue, lane, tenant = name.split(":")
        waiting[queue, lane] = waiting.get((queue, lane), 0) + len(ids)
        if tenant not in state.get(f"turns:{queue}:{lane}", {}):
            yield f"tenant:{name} has no turn"
        for job_id in ids:
            record = state.get(f"job:{job_id}", {"s": "gone"})
            if (record["s"], record.get("q"), record.get("te")) != ("ready", queue, tenant):
                yield f"tenant:{name} holds {job_id}, which is {record}"
    for name, times in _places(state, "turns:"):
        queue, lane = name.split(":")
        for tenant in times:
            if tenant and f"tenant:{name}:{tenant}" not in state:
                yield f"turns:{name} has {tenant}, who does not wait"
        if min(times.values()) < times.get("", 0) or not waiting.get((queue, lane)):
            yield f"turns:{name} is {times}"
    for queue, found in _places(state, "queue:"):
        settings: Fields = cast("Fields", found) if isinstance(found, dict) else {}
        for lane in ("high", "normal", "low"):
            counted = settings.get(f"turns_{lane}", "0")
            if counted != str(waiting.get((queue, lane), 0)):
                yield f"{counted} wait for a turn in {queue}:{lane}, not {waiting}"
