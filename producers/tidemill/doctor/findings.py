"""What the doctor can find: its kinds, in words, and the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """A kind of damage. The names of the rows that scripts return; `WORDS` says what each means."""

    # A record without its place.
    NOT_IN_WHEEL = "not_in_wheel"
    READY_WITHOUT_TICKET = "ready_without_ticket"
    RUNNING_WITHOUT_TICKET = "running_without_ticket"
    NOT_AMONG_DEAD = "not_among_dead"
    NOT_AMONG_FINISHED = "not_among_finished"
    NOT_EXPIRING = "not_expiring"
    LOCK_MISSING = "lock_missing"
    NOT_IN_LINE = "not_in_line"
    # A place without its record.
    MISPLACED = "misplaced"
    LOCK_WITHOUT_JOB = "lock_without_job"
    TICKET_WITHOUT_JOB = "ticket_without_job"
    TICKET_NOT_TAKEN = "ticket_not_taken"
    TICKET_OF_NOBODY = "ticket_of_nobody"
    PENDING_WITHOUT_TICKET = "pending_without_ticket"
    # Workers.
    CONSUMER_WITHOUT_LEASE = "consumer_without_lease"
    CONSUMER_LEFT_OVER = "consumer_left_over"
    WORKER_NOT_DESCRIBED = "worker_not_described"
    WORKER_WITHOUT_LEASE = "worker_without_lease"
    # Queues.
    QUEUE_UNKNOWN = "queue_unknown"
    AGENDA_LATE = "agenda_late"
    LINE_STOPPED = "line_stopped"
    LINE_WITHOUT_TURN = "line_without_turn"
    TURNS_MISCOUNTED = "turns_miscounted"
    # What no repair can know how to mend.
    CORRUPT_RECORD = "corrupt_record"
    FOREIGN_TYPE = "foreign_type"
    UNKNOWN_KEY = "unknown_key"


class Words(NamedTuple):
    """`seen`: what is wrong, `{}` stands for the detail. `repair`: what is done about it. `left`: why nothing is."""

    seen: str
    repair: str = ""
    left: str = ""


_TO_A_PERSON: Final = "left to a person: what another program wrote is not ours to delete"

WORDS: Final[dict[Kind, Words]] = {
    Kind.NOT_IN_WHEEL: Words(
        "the job is scheduled, but not in the wheel: it would never become ready", "put into the wheel at its due time"
    ),
    Kind.READY_WITHOUT_TICKET: Words(
        "the job is ready, but has no ticket: no worker would be given it", "gets a new ticket"
    ),
    Kind.RUNNING_WITHOUT_TICKET: Words(
        "the job is running, but its worker has no ticket for it: if the worker died, the job would be lost",
        "made ready again, its worker being gone",
        "worker {} holds its lease and may be running the job: look again when the job, or the worker, has ended",
    ),
    Kind.NOT_AMONG_DEAD: Words(
        "the job is dead, but not among the dead letters: it would never be dropped", "put among the dead letters"
    ),
    Kind.NOT_AMONG_FINISHED: Words(
        "the job is over, but retention does not know it: it would never be dropped", "put among the finished jobs"
    ),
    Kind.NOT_EXPIRING: Words(
        "the job expires, but the index does not have it: it could wait for ever", "put into the index"
    ),
    Kind.LOCK_MISSING: Words(
        "the job does not hold its unique key: another could be enqueued beside it",
        "gets its unique key back",
        "its unique key is held by job {}, which is not over",
    ),
    Kind.NOT_IN_LINE: Words(
        "the job waits for a limit, but stands in no line: it would wait for ever", "due now, to get its turn anew"
    ),
    Kind.MISPLACED: Words("it holds a job that does not belong there: its state is '{}'", "taken out"),
    Kind.LOCK_WITHOUT_JOB: Words("job {} holds the unique key, but is over, gone, or knows nothing of it", "removed"),
    Kind.TICKET_WITHOUT_JOB: Words(
        "worker {} holds a ticket of the job, which is over, gone, or another worker's", "the ticket is removed"
    ),
    Kind.TICKET_NOT_TAKEN: Words(
        "worker {} was given the job's ticket and has gone on without it", "the ticket goes to the next worker"
    ),
    Kind.TICKET_OF_NOBODY: Words(
        "the job's ticket counts as delivered, but no worker has it", "given back to its worker, or removed"
    ),
    Kind.PENDING_WITHOUT_TICKET: Words(
        "an entry is pending at worker {}, but was deleted: the job can't be recovered by it", "acknowledged"
    ),
    Kind.CONSUMER_WITHOUT_LEASE: Words(
        "a worker without a lease has {} tickets: nobody would recover its jobs",
        "gets a lease, so that a scheduler recovers its jobs when that is over",
    ),
    Kind.CONSUMER_LEFT_OVER: Words("a worker that is gone is still a consumer of the stream", "removed"),
    Kind.WORKER_NOT_DESCRIBED: Words(
        "a worker has a lease, but no description: either was deleted, or no scheduler runs", "described by its lease"
    ),
    Kind.WORKER_WITHOUT_LEASE: Words("a worker is described for ever, but has no lease", "removed"),
    Kind.QUEUE_UNKNOWN: Words(
        "the queue has keys, but is not among the queues: its jobs would not be recovered or dropped", "made known"
    ),
    Kind.AGENDA_LATE: Words("schedulers would look at the queue's wheel after its first job is due", "put right"),
    Kind.LINE_STOPPED: Words(
        "jobs wait for the limit, but no scheduler looks after them", "schedulers are told of the line"
    ),
    Kind.LINE_WITHOUT_TURN: Words(
        "jobs of a tenant wait for their turn, but the tenant has none: they would never be let in", "gets a turn"
    ),
    Kind.TURNS_MISCOUNTED: Words("{} jobs are said to wait for their turn in the lane, which is wrong", "counted"),
    Kind.CORRUPT_RECORD: Words(
        "the record is not one that Tidemill wrote: {}",
        left="left as it is: a worker that comes to its ticket makes a dead letter of it",
    ),
    Kind.FOREIGN_TYPE: Words("the key holds a {}", left=_TO_A_PERSON),
    Kind.UNKNOWN_KEY: Words("the key is none of those that Tidemill makes", left=_TO_A_PERSON),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `key`: the Redis key that it is about; `subject`: the job's id, the worker's incarnation, the stream entry or the
    queue, "" where the key says it all. `repair`: what a repair does, or did, if `repaired`; or why it does nothing.
    """

    kind: Kind
    key: str
    subject: str
    seen: str
    repair: str
    repaired: bool


def finding(kind: Kind, key: str, subject: str = "", detail: str = "", *, repair: bool, repaired: bool) -> Finding:
    """Puts it into words. `repair`: one was asked for; `repaired`: it was done."""
    words = WORDS[kind]
    done = words.repair if words.repair and (repaired or not repair) else words.left or words.repair
    return Finding(kind, key, subject, words.seen.format(detail or "gone"), done.format(detail), repaired)


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor looked at, and all that it found. `seconds`: how long it took."""

    findings: tuple[Finding, ...]
    keys: int
    records: int
    tickets: int
    seconds: float

    @property
    def healthy(self) -> bool:
        """Nothing was found."""
        return not self.findings

    @property
    def left(self) -> tuple[Finding, ...]:
        """What was found and not repaired."""
        return tuple(one for one in self.findings if not one.repaired)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return dict(Counter(str(one.kind) for one in self.findings))

    def as_data(self) -> dict[str, object]:
        """The report as plain data, for JSON."""
        return {
            "healthy": self.healthy,
            "counts": self.counts,
            "findings": [asdict(one) for one in self.findings],
            "keys": self.keys,
            "records": self.records,
            "tickets": self.tickets,
            "seconds": round(self.seconds, 3),
        }
