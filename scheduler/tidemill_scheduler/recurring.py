"""Makes the jobs of recurring definitions when their time comes: see `tidemill.schedule` for the rules."""

from __future__ import annotations

from tidemill import telemetry, validation
from tidemill.connection import Link
from tidemill.errors import CorruptRecord, ServerUnavailable
from tidemill.recurring import Recurring, unpack
from tidemill.schedule import plan
from tidemill.telemetry import Event
from tidemill.wire.scripts import NewJobs, Scripts
from tidemill_scheduler import settings


class RecurringJobs:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts

    def run(self, now_ms: int) -> None:
        """Handles what is due."""
        due = self._link.run(self._scripts.due_occurrences(now_ms, settings.OCCURRENCES_PAGE))
        for name, due_ms in due:
            definition = self._link.run(self._scripts.definition(name))
            if not definition:  # undeclared meanwhile
                self._link.run(self._scripts.undeclare(name))
                continue
            try:
                self._tick(_checked(unpack(name, definition)), due_ms, now_ms)
            except ServerUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not keep the others
                self._postpone(name, due_ms, now_ms, error)

    def _tick(self, recurring: Recurring, due_ms: int, now_ms: int) -> None:
        found = plan(recurring.schedule, recurring.missed, due_ms, now_ms)
        ids = [recurring.occurrence_id(occurrence_ms) for occurrence_ms in found.run_ms]
        made = self._link.run(
            self._scripts.tick(recurring.name, due_ms, found.next_due_ms, recurring.jobs(), recurring.body, ids)
        )
        if made > 0:
            telemetry.event(
                Event.RECURRING_ENQUEUED,
                name=recurring.name,
                task=recurring.task,
                queue=recurring.queue,
                count=made,
            )

    def _postpone(self, name: str, due_ms: int, now_ms: int, error: Exception) -> None:
        """A definition that can't be read must not keep the others from their time, nor be thrown away."""
        telemetry.event(
            Event.SCHEDULER_FAILED,
            role=f"recurring job {name}",
            error=str(error),
            delay_ms=settings.BROKEN_DEFINITION_MS,
        )
        later_ms = now_ms + settings.BROKEN_DEFINITION_MS
        self._link.run(self._scripts.tick(name, due_ms, later_ms, NewJobs("default", "none"), b"", ()))


def _checked(recurring: Recurring) -> Recurring:
    """What a foreign hand wrote must not become a job that no worker can take. Raises CorruptRecord, InvalidInput."""
    validation.queue_name(recurring.queue)
    validation.task_name(recurring.task)
    validation.priority(recurring.priority)
    if not _are_bytes(recurring.body, recurring.options):
        raise CorruptRecord(f"the recurring job {recurring.name!r} holds arguments or options that are not bytes")
    for name, value in (("result_ttl_ms", recurring.result_ttl_ms), ("expires_ms", recurring.expires_ms)):
        if value is not None:
            validation.whole(name, value, 0, validation.MAX_DELAY_DAYS * 86_400_000)
    return recurring


def _are_bytes(*parts: object) -> bool:
    return all(isinstance(part, bytes) for part in parts)
