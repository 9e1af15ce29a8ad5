"""What can be tuned in a worker, each with its unit in its name and the reason for its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A worker that is silent for this long is taken for dead. Short enough that a crash costs half a minute, long enough
# for a pause of the network or the machine that nobody would call a crash.
LEASE_MS: Final = 30_000
# Renewals in one lease: three may fail before the lease is lost.
RENEWALS_PER_LEASE: Final = 4
# How long an idle worker's read blocks: one command a minute, and a dead connection is found out.
BLOCK_MS: Final = 60_000
# A read that waits for jobs, while the server says that there are some, is cut off after this: longer than an answer
# that is under way can take.
DEAF_SECONDS: Final = 5.0
# How long a worker without jobs goes on while the server does not answer it; then its process ends with an error.
# Longer than a failover, or a restart that loads a large log; shorter than it takes until somebody misses the jobs.
SERVER_DEADLINE_SECONDS: Final = 600.0
# For how long a job may hold the interpreter in one call into C, before its worker counts as stuck and is killed: no
# useful call is that long, and the worker's other jobs stand still meanwhile.
MAX_STALL_SECONDS: Final = 600.0
# How long SIGTERM lets running jobs go on.
GRACE_SECONDS: Final = 25.0
# After the grace: how long interrupted jobs may take to notice, before the process ends without them.
INTERRUPT_SECONDS: Final = 2.0

# Jobs at a time in one process. Threads and coroutines mostly wait for others.
CONCURRENCY: Final = 20
# Whether fewer run when they are slow: "fixed" does not measure, and costs nothing.
CONCURRENCY_LIMITER: Final = "fixed"
# Work held beyond the free slots, in time: what the process would finish while one round trip is under way.
PREFETCH_MS: Final = 20
# However short the jobs: a crash hands back this many at most, and one script call stays short.
MAX_PREFETCH: Final = 500
# A job that has waited for a free slot for so long is handed back: a worker that is idle may start it at once.
HAND_BACK_MS: Final = 50
# Jobs of one settlement call: about a millisecond on the server.
SETTLE_BATCH: Final = 200

# A job whose task this worker does not know is offered again after this, doubled with each offer up to the cap.
PARK_BASE_MS: Final = 1_000
PARK_CAP_MS: Final = 60_000
# Parked jobs that a worker that knows their task makes due in one call.
ADOPT_PAGE: Final = 200

# What the cache of templates' versions holds at most. A version with 2 KiB of defaults takes about 10 KB in memory.
TEMPLATE_CACHE_ENTRIES: Final = 10_000
TEMPLATE_CACHE_BYTES: Final = 64 << 20
# Jobs that have waited for their version for so long are handed back: another worker may hold it.
TEMPLATE_HAND_BACK_MS: Final = 1_000
# A version that could not be read is tried again after this, doubled each time up to the cap: an outage ends by itself,
# and jobs wait for its end.
TEMPLATE_RETRY_SECONDS: Final = 0.05
TEMPLATE_RETRY_CAP_SECONDS: Final = 1.0
# How often a worker tells which versions it has used; it says nothing when none was.
TEMPLATE_REPORT_SECONDS: Final = 10.0
# How long a worker that starts loads what the fleet uses, before it takes its first job.
TEMPLATE_WARM_UP_SECONDS: Final = 2.0
# How often it looks for versions that are worth to be kept, while jobs of templates run.
TEMPLATE_KEEP_WARM_SECONDS: Final = 60.0
# Which are: used about every half hour, and found by nearly all jobs. One that is missed more often comes and goes, and
# would only take the room of others.
KEEP_WARM_DAILY_USES: Final = 50
KEEP_WARM_HIT_RATIO: Final = 0.95

# A job whose worker died so often while it ran runs alone from then on: the next death is its own. One may be bad luck:
# a machine that fails takes many jobs with it, and they must not wait for each other afterwards.
SUSPECT_CRASHES: Final = 2
# A busy worker keeps such a job for so long, and takes nothing more meanwhile: with short jobs it is idle by then.
SUSPECT_WAIT_MS: Final = 1_000
# If it is not, it puts it off, for an idle worker to take it; but after so many hand-backs it is kept to the end.
SUSPECT_OFFERS: Final = 4
# After which it is offered again. Not longer each time: it has waited for a lease already.
SUSPECT_OFFER_MS: Final = 100

# A child process is replaced after this many jobs, or beyond this much memory: leaks of user code stay bounded.
CHILD_MAX_JOBS: Final = 1_000
CHILD_MAX_MEGABYTES: Final = 1_024

# A traceback longer than this is cut in its middle: both ends say more.
MAX_TRACEBACK_CHARS: Final = 16_384
MAX_ERROR_CHARS: Final = 2_048


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the command line sets."""

    queues: tuple[str, ...] = ()
    concurrency: int = CONCURRENCY
    concurrency_limiter: str = CONCURRENCY_LIMITER
    lease_ms: int = LEASE_MS
    grace_seconds: float = GRACE_SECONDS
    server_deadline_seconds: float = SERVER_DEADLINE_SECONDS
    child_processes: int = 0
    child_max_jobs: int = CHILD_MAX_JOBS
    child_max_megabytes: int = CHILD_MAX_MEGABYTES
    template_cache_entries: int = TEMPLATE_CACHE_ENTRIES
    template_cache_bytes: int = TEMPLATE_CACHE_BYTES
    template_warming: bool = True
    app_path: str = ""

    def arguments(self) -> list[str]:
        """The command line that makes these settings, for a process of its own."""
        return [
            self.app_path,
            f"--queues={','.join(self.queues)}",
            f"--concurrency={self.concurrency}",
            f"--concurrency-limiter={self.concurrency_limiter}",
            f"--grace={self.grace_seconds}",
            f"--lease={self.lease_ms / 1000}",
            f"--server-deadline={self.server_deadline_seconds}",
            f"--child-processes={self.child_processes}",
            f"--child-max-jobs={self.child_max_jobs}",
            f"--child-max-megabytes={self.child_max_megabytes}",
            f"--template-cache-entries={self.template_cache_entries}",
            f"--template-cache-bytes={self.template_cache_bytes}",
            "--template-warming" if self.template_warming else "--no-template-warming",
        ]
