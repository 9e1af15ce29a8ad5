"""The doctor: compares what Redis holds two by two (record and place, lock and job, lease and worker), and mends it.

Any two structures disagree one day: a foreign hand deletes a key, a server loses its last second, an operator trims a
stream. Every script of ours leaves them in agreement, so whatever is found here is damage, or a bug.

- `findings.py`: what can be found, and what is done about it.
- `examination.py`: goes through everything once.
- `keyspace.py`: which key is which.
- `tickets.py`: finds the jobs that have no ticket.
"""

from tidemill.doctor.findings import Finding, Kind, Report

__all__ = ["Finding", "Kind", "Report"]
