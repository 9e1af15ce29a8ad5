"""Whether a lease that is over may be believed.

While the server is out of reach nobody can renew, so that time does not count against a worker: it is dead when it
could have renewed for a whole lease, and for a little more, and did not. Nor is anybody waited for longer than a lease
from the moment at which the server was last found back: whoever lives has renewed by then. This is the idea of a
failure detector that counts what its own observer has seen (Chandra and Toueg, "Unreliable failure detectors for
reliable distributed systems", 1996), and not what the clock says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

# Outages that are remembered; no lease reaches back further, and if one did, its worker would be waited for too long.
_REMEMBERED: Final = 256
# What a worker needs after an outage beside the rest of its lease, in leases: its call that was under way has to be
# given up, and it has to connect anew.
_RECONNECTING: Final = 0.25


class Trust:
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._outages: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._back_at = float("-inf")

    def outage(self, began: float | None, ended: float | None = None) -> None:
        """The server was out of reach. `began`: when it last answered, None: unknown. `ended`: now, if left out."""
        until = self._clock() if ended is None else ended
        self._outages.append((float("-inf") if began is None else began, until))
        self._back_at = max(self._back_at, until)

    def server_started(self, at: float) -> None:
        """It may have been restarted without anybody here noticing. Known to the second."""
        if at > self._back_at + 1:
            self.outage(None, at)

    def grace_seconds(self, renewed_at: float, lease_seconds: float, now: float) -> float:
        """How much longer a worker is to be waited for that renewed its lease then; 0 or less: it is dead.

        now: when the server was known to answer. Not a moment later: what went wrong since is not known yet.
        """
        away = sum(max(0.0, min(ended, now) - max(began, renewed_at)) for began, ended in self._outages)
        needed = lease_seconds * (1 + _RECONNECTING) if away else lease_seconds
        return min(needed - (now - renewed_at - away), max(self._back_at, renewed_at) + lease_seconds - now)
