"""What the scripts promise, as a model of a few lines: a dict of jobs, a dict of leases, one clock.

It knows no streams and no sorted sets: where a job is to be found follows from its state, and `invariants.py` checks
that. What the order of tickets decides (which jobs a `take` returns), the model is told, and checks whether it may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

UNDER_WAY: Final = ("scheduled", "ready", "running")
WAITING: Final = ("scheduled", "ready")
MAX_CRASHES: Final = 3
DEFAULT_TTL: Final = 3_600_000
DEAD_TTL: Final = 30 * 86_400_000


@dataclass
class Job:
    """`holder` and `attempt` are the fence. `kept_until`: when retention drops it, once it is over."""

    id: str
    queue: str
    state: str
    due: int
    expires: int | None = None
    unique: str = ""
    ttl: int = DEFAULT_TTL
    attempt: int = 0
    holder: str = ""
    crashes: int = 0
    cancelled: bool = False
    parked: bool = False
    held: bool = False
    kept_until: int = 0


@dataclass
class Model:
    now: int
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    leases: dict[str, int] = field(default_factory=dict[str, int])

    def live(self) -> Iterator[Job]:
        return (job for job in self.jobs.values() if job.state in UNDER_WAY)

    def holder_of(self, unique: str) -> Job | None:
        return next((job for job in self.live() if unique and job.unique == unique), None)

    def state(self, job_id: str) -> str:
        return self.jobs[job_id].state if job_id in self.jobs else ""

    # -- producers ----------------------------------------------------------------------------------------------

    def enqueue(self, job: Job) -> tuple[str, str, str]:
        if job.id in self.jobs:
            return "exists", "", self.state(job.id)
        holder = self.holder_of(job.unique)
        if holder:
            return "conflict", holder.id, holder.state
        self.jobs[job.id] = job
        job.state = "scheduled" if job.due > self.now else "ready"
        return job.state, "", job.state

    def cancel(self, job_id: str) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return ""
        if job.state in WAITING:
            self._over(job, "cancelled")
            return "cancelled"
        if job.state == "running":
            job.cancelled = True
        return job.state

    def requeue(self, job_id: str) -> list[str]:
        job = self.jobs.get(job_id)
        if job is None or job.state != "dead":
            return [self.state(job_id)]
        holder = self.holder_of(job.unique)
        if holder:
            return ["conflict", holder.id]
        job.state, job.crashes, job.cancelled, job.expires = "ready", 0, False, None
        return ["ready"]

    def discard(self, job_id: str) -> str:
        if self.state(job_id) != "dead":
            return self.state(job_id)
        del self.jobs[job_id]
        return "gone"

    # -- workers ------------------------------------------------------------------------------------------------

    def may_take(self, job_id: str) -> bool:
        job = self.jobs[job_id]
        return job.state == "ready" and not job.cancelled and not self._is_expired(job)

    def may_end_at_take(self, job: Job) -> str:
        """How a READY job ends when its ticket is read and it is not to run; "" if it is to run."""
        if job.state != "ready":
            return ""
        return "cancelled" if job.cancelled else "expired" if self._is_expired(job) else ""

    def taken(self, job_id: str, worker: str) -> int:
        job = self.jobs[job_id]
        job.state, job.holder = "running", worker
        job.attempt += 1
        job.held = job.held or job.crashes > 0
        return job.attempt

    def settle(self, verb: str, job_id: str, worker: str, attempt: int, delay: int = 0) -> int:
        """The code that the script answers: 1 done, 0 fenced, 2 done before."""
        ends_as = {"complete": "succeeded", "bury": "dead", "abandon": "cancelled", "release": "ready"}
        target = ends_as.get(verb, "scheduled")
        job = self.jobs.get(job_id)
        if job is None or (job.holder, job.attempt) != (worker, attempt):
            return 0
        if job.state != "running":
            return 2 if job.state == target else 0
        job.held = False
        if job.cancelled and verb in ("bury", "retry", "park"):
            target = "cancelled"
        if target in UNDER_WAY:
            job.state, job.due, job.parked = target, self.now + delay, verb == "park"
        else:
            self._over(job, target)
        return 1

    def is_held_by(self, job_id: str, worker: str, attempt: int) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and (job.state, job.holder, job.attempt) == ("running", worker, attempt)

    # -- schedulers ---------------------------------------------------------------------------------------------

    def promote(self, queue: str) -> int:
        due = [job for job in self.live() if (job.state, job.queue) == ("scheduled", queue) and job.due <= self.now]
        for job in due:
            job.state, job.parked = "ready", False
        return len(due)

    def adopt(self) -> None:
        for job in self.live():
            if job.state == "scheduled" and job.parked:
                job.due, job.parked = self.now, False

    def recover(self, worker: str, queue: str) -> tuple[set[str], set[str]] | None:
        """(ready, buried); None while the lease lives."""
        if self.leases.get(worker, 0) > self.now:
            return None
        ready, buried = set[str](), set[str]()
        for job in list(self.live()):
            if (job.state, job.holder, job.queue) != ("running", worker, queue):
                continue
            crashes, job.held = job.crashes + (not job.held), False
            if job.cancelled:
                self._over(job, "cancelled")
            elif crashes > MAX_CRASHES:
                job.crashes = crashes
                self._over(job, "dead")
                buried.add(job.id)
            else:
                job.state, job.crashes = "ready", crashes
                ready.add(job.id)
        return ready, buried

    def expire(self) -> int:
        over = [job for job in self.live() if job.state in WAITING and self._is_expired(job)]
        for job in over:
            self._over(job, "expired")
        return len(over)

    def sweep(self, place: str) -> int:
        swept = [
            job
            for job in self.jobs.values()
            if job.state not in UNDER_WAY and (job.state == "dead") == (place == "dead") and job.kept_until <= self.now
        ]
        for job in swept:
            del self.jobs[job.id]
        return len(swept)

    # -- inside -------------------------------------------------------------------------------------------------

    def _is_expired(self, job: Job) -> bool:
        return job.expires is not None and job.expires <= self.now

    def end(self, job_id: str, state: str) -> None:
        self._over(self.jobs[job_id], state)

    def _over(self, job: Job, state: str) -> None:
        job.state, job.parked = state, False
        job.kept_until = self.now + (DEAD_TTL if state == "dead" else job.ttl)
        if state != "dead" and job.ttl == 0:
            del self.jobs[job.id]
