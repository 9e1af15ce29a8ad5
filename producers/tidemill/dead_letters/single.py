"""Runs one dead letter again, as it is or with new arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tidemill import telemetry, validation
from tidemill.dead_letters.hands import hand
from tidemill.dead_letters.history import actions
from tidemill.errors import InvalidInput, JobExists
from tidemill.job import JobState, not_found, state_of
from tidemill.telemetry import Event
from tidemill.wire.record import Record
from tidemill.wire.scripts import Hand, Requeue
from tidemill.wire.signing import Refusal, Signable, Signing, is_signed, payload_of

if TYPE_CHECKING:
    from tidemill.client import Client, Operation
    from tidemill.task import Definition


def retry(client: Client, job_id: str, by: str | None, reason: str) -> Operation[None]:
    """Raises JobNotFound, InvalidInput, JobExists."""
    done_by = hand(by, reason)
    yield from _requeue(client, Requeue(job_id), done_by)
    telemetry.event(
        Event.DEAD_RETRIED, by=done_by.by, why=reason or None, operation=done_by.operation, job_id=job_id, count=1
    )


def retry_edited(
    client: Client,
    tasks: Mapping[str, Definition],
    job_id: str,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    by: str | None,
    reason: str,
) -> Operation[None]:
    """With new arguments, all of which are given. Raises JobNotFound, InvalidInput, JobExists."""
    done_by = hand(by, reason)
    record: Record | None = yield client.scripts.read(validation.job_id(job_id))
    if record is None:
        raise not_found(job_id)
    if state_of(record) is not JobState.DEAD:
        raise _not_dead(job_id, record.state)
    body = _body(client, tasks.get(record.task), record, args, kwargs)
    yield from _requeue(client, Requeue(job_id, str(record.finished_ms or ""), body), done_by)
    # The answer to a call that is sent again is that of a job that somebody else has made ready: the audit knows.
    if not (yield from actions(client, job_id, done_by.operation, 1)):
        raise InvalidInput(f"job {job_id} was retried by somebody else meanwhile, with the arguments that it had")
    telemetry.event(Event.DEAD_EDITED, by=done_by.by, why=reason or None, operation=done_by.operation, job_id=job_id)


def arguments(client: Client, job_id: str) -> Operation[tuple[list[object], dict[str, object]]]:
    """As they stand in the record. Raises JobNotFound, CorruptRecord."""
    record: Record | None = yield client.scripts.read(validation.job_id(job_id))
    if record is None:
        raise not_found(job_id)
    return client.codec.decode_call(payload_of(record.body))


def _requeue(client: Client, letter: Requeue, done_by: Hand) -> Operation[None]:
    job_id = letter.job_id
    ((state, *holder),) = yield client.scripts.requeue([letter], done_by)
    if state == "conflict":
        raise JobExists(f"job {job_id}: its unique key is held by job {holder[0]}", job_id=holder[0])
    if state == "changed":
        raise InvalidInput(f"job {job_id} was retried meanwhile, and has died again: look at its error first")
    if not state:
        raise not_found(job_id)
    if state != JobState.READY:
        raise _not_dead(job_id, state)


def _not_dead(job_id: str, state: str) -> InvalidInput:
    return InvalidInput(f"job {job_id} is {state}: only a dead letter can be retried by hand")


def _body(
    client: Client,
    definition: Definition | None,
    record: Record,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> bytes:
    """The new arguments as they travel, signed if there are keys. The task's signature counts where it is known."""
    if isinstance(args, (str, bytes)):
        raise InvalidInput(f"args must be a list of arguments, not {args!r:.80}")
    if definition is not None:
        try:
            definition.check(*args, **kwargs)
        except TypeError as error:
            raise InvalidInput(f"task {record.task} does not take these arguments: {error}") from error
    payload = client.codec.encode_call(tuple(args), dict(kwargs))
    if client.signing is not None:
        return _signed(client.signing, record, payload)
    if is_signed(record.body):
        raise InvalidInput(
            f"job {record.id} is signed, and this process has no keys: new arguments would be refused by the workers; "
            "set TIDEMILL_SIGNING_KEYS, or enqueue a new job"
        )
    return payload


def _signed(signing: Signing, record: Record, payload: bytes) -> bytes:
    """Only for a job that a holder of a key has enqueued: else whoever may write to Redis could change a job's task,
    and wait for somebody to sign it."""
    signable = Signable(record.queue, record.task, record.id, record.options)
    found = signing.verify(signable, record.body)
    if isinstance(found, Refusal) and found.why != "expired":
        raise InvalidInput(f"job {record.id} can't be signed anew: {found.text}; enqueue a new job")
    return signing.sign(signable, payload)
