"""How long to pause between two tries to reach a server that is away."""

from __future__ import annotations

import random
import time

from tidemill import settings


class Backoff:
    """Each pause is a part of the time that the server has been away.

    So work goes on soon after it is back, measured by what the outage took anyway, and a long one costs few tries. Half
    of a pause is left to chance: a fleet that lost its server does not knock in step. One thread's.
    """

    def __init__(self) -> None:
        self._since: float | None = None  # monotonic seconds; None: it was there when it was asked last

    def next_seconds(self) -> float:
        """It is away, or still away: the pause until the next try."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        most = max(settings.RETRY_BASE_SECONDS, settings.RETRY_PART * (now - self._since))
        return random.uniform(0.5, 1) * min(settings.RETRY_CAP_SECONDS, most)

    def over(self) -> None:
        """It has answered."""
        self._since = None
