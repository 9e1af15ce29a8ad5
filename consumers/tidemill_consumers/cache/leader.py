"""Which of two experts serves better.

Both see every use, and keep books of what they would hold. The cache itself holds what the leader would hold: the one
with more hits of late, older ones counting less and less. So it is about as good as the better of the two on what the
program does now, and neither's worst case is the cache's.

Sources: Blum, Burch, Kalai: Finely-competitive Paging, FOCS 1999; Gramacy, Warmuth, Brandt, Ari: Adaptive Caching by
Refetching, NIPS 2002. Both combine more experts by weights; with two of them the one that is ahead leads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.frequency import Frequency
from tidemill_consumers.cache.recency import Recency

K = TypeVar("K", bound=Hashable)

# After so many uses for each entry that there is room for, a hit counts for a third.
_MEMORY_FACTOR: Final = 30
# How many hits ahead the other one must be to take the lead: a change looks through all entries.
_AHEAD_HITS: Final = 1.0


class Leader(Generic[K]):
    """The expert that is followed: recency first, since it needs nothing to be learnt."""

    __slots__ = ("_ahead", "_fading", "changes", "expert", "frequency", "recency")

    def __init__(self, capacity: int, entries: int) -> None:
        self.recency: Final = Recency[K](capacity)
        self.frequency: Final = Frequency[K](capacity, entries)
        self.expert: Recency[K] | Frequency[K] = self.recency
        self.changes = 0
        self._fading = 1 - 1 / (_MEMORY_FACTOR * entries)
        self._ahead = 0.0  # of the one that does not lead, in hits

    def use(self, entries: Sequence[Entry[K, Any]]) -> bool:
        """They are used, one after the other. Returns whether the lead has changed."""
        gain = self.frequency.use(entries) - self.recency.use(entries)
        if self.expert is self.frequency:
            gain = -gain
        self._ahead = ahead = self._ahead * self._fading ** len(entries) + gain
        if ahead < _AHEAD_HITS:
            return False
        self.expert = self.recency if self.expert is self.frequency else self.frequency
        self._ahead = -ahead
        self.changes += 1
        return True

    @property
    def name(self) -> str:
        return "recency" if self.expert is self.recency else "frequency"

    def discard(self, key: K) -> None:
        self.recency.discard(key)
        self.frequency.discard(key)

    def let_go(self) -> list[K]:
        """The keys that the leader has let go since the last call."""
        found = self.expert.evicted
        if found:
            self.expert.evicted = []
        other = self.recency if self.expert is self.frequency else self.frequency
        other.evicted.clear()
        return found
