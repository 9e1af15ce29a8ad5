"""What can be tuned in a scheduler, each with its unit in its name and the reason for its value."""

from __future__ import annotations

from typing import Final

# Jobs of one promote call: a millisecond on a slow server that logs each write, so that nobody else waits for two.
PROMOTE_BATCH: Final = 100
# A queue's ready streams are filled up to this many jobs; the rest of a burst waits in the wheel, where it is cheap
# and can still be cancelled or expire.
HIGH_WATER_JOBS: Final = 10_000
# How soon a full queue is looked at again: workers make room without a word. Each time in which they took no more than
# a few, it is twice as long. The longest is what a fleet that suddenly begins to take may have to wait once, less the
# time that it needs for what is in the streams.
FULL_RETRY_MS: Final = 20
FULL_RETRY_MOST_MS: Final = 250
FEW_TAKEN_JOBS: Final = 500
# Due queues that one survey names, and one look promotes from.
QUEUES_PAGE: Final = 100
# A wait on a socket counts in whole milliseconds: so much before a due time it is left for a precise one.
COARSE_WAIT_SECONDS: Final = 0.001
# By how much the clocks of two machines may drift apart, as a part of the time that passes: ten times as fast as the
# crystals of servers do.
CLOCK_DRIFT: Final = 0.0002
# Looks are timed by the fastest way to the server that was seen. If they take so much longer, it is not the way that
# has changed, but the clock.
CLOCK_STEP_SECONDS: Final = 0.005
# Jobs of one recover call.
RECOVER_PAGE: Final = 100
# How often a job's worker may die while it runs, before the job is buried: three may be bad luck.
MAX_CRASHES: Final = 3
# Lease of a worker that left no description: the default of `tidemill worker`.
DEFAULT_LEASE_MS: Final = 30_000
# A dead worker's blocking read lives on at the server, for a minute at most (BLOCK_MS of workers), and what it is
# served is delivered to nobody: so long, and so often, a dead worker is looked after.
LAST_READ_MS: Final = 65_000
LAST_READ_LOOK_MS: Final = 5_000
# A survey that was answered so late was asked while the server was down, stood still, or refused scripts (a cluster
# does for a while after a restart): workers may not have been able to renew their leases either.
SLOW_ANSWER_SECONDS: Final = 0.5
# The server's clock against this process's: a difference that grows by more between two looks is no slow reply, but a
# jump.
CLOCK_JUMP_MS: Final = 2_000
# What the server has refused (keys that a foreign hand has changed) is tried again after this; the rest goes on.
FAILED_RETRY_MS: Final = 1_000
# Records dropped in one call, and how often that is looked at.
SWEEP_PAGE: Final = 500
SWEEP_EVERY_MS: Final = 60_000
EXPIRE_PAGE: Final = 200
# Jobs that one call drops from a full queue: each costs the server twice what promoting it does.
SHED_PAGE: Final = 50
# How often the oldest job of a queue with a limit by age is looked at: as precise is the limit.
AGE_LOOK_MS: Final = 1_000
# Recurring jobs handled before everything else gets its turn.
OCCURRENCES_PAGE: Final = 100
# A recurring job whose definition can't be read is looked at again after this.
BROKEN_DEFINITION_MS: Final = 3_600_000
# After so much silence of the alarm it is asked whether anybody is there: a connection may be dead without a word.
PROVE_ALARM_SECONDS: Final = 60.0
# With nothing to do, a scheduler looks once in this time: what was missed while a message was lost is found then, and
# the lease of a worker that came meanwhile.
IDLE_MS: Final = 15_000
