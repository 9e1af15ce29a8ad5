"""Invariants of one state: every job stands where its record says, and nowhere else."""

from __future__ import annotations

from collections import defaultdict

from simulation.ledger import Asked, Ledger, Violation
from simulation.snapshot import Fields, Snapshot, Ticket

_FINISHED = frozenset({"succeeded", "cancelled", "expired"})


def check(found: Snapshot, ledger: Ledger, latest_ms: int) -> None:
    """Raises Violation. `latest_ms`: the latest time that the server's clock has shown."""
    tickets: dict[str, list[Ticket]] = defaultdict(list)
    for ticket in found.tickets:
        if not ticket.job_id:
            raise Violation(f"a ticket was deleted while it was pending at {ticket.holder}")
        tickets[ticket.job_id].append(ticket)
    for job_id, fields in found.records.items():
        if not ledger.jobs[job_id].damaged:
            _check_place(ledger.jobs[job_id], fields, found, tickets[job_id])
            _check_holder(fields, tickets[job_id], ledger.jobs[job_id])
            _check_indexes(job_id, fields, found)
            _check_parked(job_id, fields, found, latest_ms)
    _check_foreign(found, ledger)
    _check_agenda(found, latest_ms)
    _check_locks(found, ledger)


def _check_place(asked: Asked, fields: Fields, found: Snapshot, tickets: list[Ticket]) -> None:
    job_id = asked.id
    due = found.wheel[fields.queue].get(job_id)
    if (fields.state == "scheduled") != (due is not None):
        raise Violation(f"{job_id} is {fields.state}, and {'not ' if due is None else ''}in the wheel")
    if due is not None and str(due) != fields.due:
        raise Violation(f"{job_id} is due at {fields.due}, but stands in the wheel at {due}")
    if fields.state in ("ready", "running"):
        # A ticket stays until it is read, also that of a former job of the same id; either may start this one.
        if len(tickets) != 1 and not (tickets and asked.remade):
            raise Violation(f"{job_id} is {fields.state}, and has {len(tickets)} tickets")
        if (fields.queue, fields.lane) not in [(ticket.queue, ticket.lane) for ticket in tickets]:
            raise Violation(f"{job_id}'s ticket is in {tickets[0].queue}:{tickets[0].lane}")


def _check_holder(fields: Fields, tickets: list[Ticket], asked: Asked) -> None:
    if fields.state != "running" or any(ticket.holder == fields.lease for ticket in tickets):
        asked.astray = False
    elif not asked.astray:
        holder = tickets[0].holder or "nobody"
        raise Violation(f"{asked.id} runs at {fields.lease}, but its ticket is pending at {holder}")


def _check_indexes(job_id: str, fields: Fields, found: Snapshot) -> None:
    for name, scores, belongs in (
        ("dead", found.dead[fields.queue], fields.state == "dead"),
        ("done", found.done[fields.queue], fields.state in _FINISHED),
        ("expiring", found.expiring, bool(fields.expires) and fields.state in ("scheduled", "ready")),
    ):
        if (job_id in scores) != belongs:
            raise Violation(f"{job_id} is {fields.state}, and {'not ' if belongs else ''}in {name}")


def _check_parked(job_id: str, fields: Fields, found: Snapshot, latest_ms: int) -> None:
    """What leaves the index of parked jobs is due at once: a worker that knows its task has come."""
    is_parked = job_id in found.parked.get(fields.task, {})
    if is_parked and not (fields.parked and fields.state == "scheduled"):
        raise Violation(f"{job_id} is {fields.state}, and in the index of parked jobs")
    if fields.parked and fields.state == "scheduled" and not is_parked and int(fields.due) > latest_ms:
        raise Violation(f"{job_id} is parked until {fields.due}, but not in the index of parked jobs")


def _check_foreign(found: Snapshot, ledger: Ledger) -> None:
    """No place holds a job that has no record."""
    places = [*found.wheel.values(), *found.dead.values(), *found.done.values(), *found.parked.values(), found.expiring]
    for scores in places:
        for job_id in scores:
            if job_id not in found.records:
                raise Violation(f"{job_id} has a place, but no record")
            if job_id not in ledger.jobs:
                raise Violation(f"{job_id} was never asked for")


def _check_agenda(found: Snapshot, latest_ms: int) -> None:
    for queue, wheel in found.wheel.items():
        if wheel and found.agenda.get(queue, latest_ms + 1) > max(min(wheel.values()), latest_ms):
            raise Violation(f"the agenda has {queue} at {found.agenda.get(queue)}, its first job is due before")


def _check_locks(found: Snapshot, ledger: Ledger) -> None:
    for digest, holder in found.locks.items():
        fields = found.records.get(holder)
        is_held = fields is not None and fields.is_live and fields.unique == digest
        if not is_held and not ledger.jobs[holder].damaged:
            raise Violation(f"a unique key is held by {holder}, which is {fields.state if fields else 'gone'}")
    for job_id, fields in found.records.items():
        if fields.unique and fields.is_live and found.locks.get(fields.unique) != job_id:
            raise Violation(f"{job_id} does not hold its unique key: {found.locks.get(fields.unique)} does")
