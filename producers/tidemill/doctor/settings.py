"""What can be tuned in the doctor, each with its unit in its name and the reason for its value."""

from __future__ import annotations

from typing import Final

# Keys that the server looks at in one SCAN.
SCAN_PAGE_KEYS: Final = 1_000
# Ids that one script looks at: about half a millisecond on the server, so that nobody else waits.
CHECK_PAGE: Final = 100
# Jobs that wait for their tickets to be seen are kept in memory: about 40 MB of them. When there are more, the streams
# are gone through several times.
MAX_WITHOUT_TICKET: Final = 100_000
# A worker that has read so long after a ticket was delivered to it has dealt with the ticket, if it ever will: between
# the two it sends one command.
MOVED_ON_MS: Final = 10_000
# A read of a dead worker may still be served for a minute, and schedulers look after it for a few seconds more. What
# they have not come to in this time they will not come to.
LATE_MS: Final = 90_000
# The lease of one that had none: as of `tidemill worker`, so that a worker that lives can renew it.
GIVEN_LEASE_MS: Final = 30_000
