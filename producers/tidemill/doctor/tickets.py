"""The jobs that are to have a ticket, until it is seen."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.wire.doctoring import NeedsTicket


class WithoutTicket:
    """Jobs whose tickets were not seen yet. A RUNNING job's ticket counts only if its own worker has it."""

    def __init__(self) -> None:
        self._jobs: dict[str, NeedsTicket] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, jobs: Iterable[NeedsTicket]) -> None:
        self._jobs.update((job.job_id, job) for job in jobs)

    @property
    def queues(self) -> set[str]:
        """Whose streams may have their tickets."""
        return {job.queue for job in self._jobs.values()}

    def see(self, queue: str, tickets: Iterable[tuple[str, str]]) -> None:
        """(job id, the consumer that has the ticket, or ""). An earlier job of the id may have one in another queue."""
        for job_id, consumer in tickets:
            job = self._jobs.get(job_id)
            if job is not None and job.queue == queue and job.holder in ("", consumer):
                del self._jobs[job_id]

    def take_all(self) -> list[NeedsTicket]:
        """Those that are left; none stay."""
        left = list(self._jobs.values())
        self._jobs.clear()
        return left
