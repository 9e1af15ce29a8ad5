"""Which of three experts serves best.

All see every use, and keep books of what they would hold. The cache itself holds what the leader would hold: the one
with the most hits of late, older ones counting less and less. So it is about as good as the best of them on what the
program does now, and nobody's worst case is the cache's.

| expert | best at |
| --- | --- |
| recency | what is asked for again soon, and whatever has just changed |
| frequency | favourites that stay, loops, floods of what is asked for once |
| both | the same with a window of a fifth: programs that do both at once |

Sources: Blum, Burch, Kalai: Finely-competitive Paging, FOCS 1999; Gramacy, Warmuth, Brandt, Ari: Adaptive Caching by
Refetching, NIPS 2002. They combine experts by weights; here the one that is ahead leads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.frequency import Frequency
from tidemill_consumers.cache.popularity import Popularity
from tidemill_consumers.cache.recency import Recency

K = TypeVar("K", bound=Hashable)

# After so many uses for each entry that there is room for, a hit counts for a third.
_MEMORY_FACTOR: Final = 30
# How many hits ahead another one must be to take the lead: a change looks through all entries.
_AHEAD_HITS: Final = 1.0
# Of the expert that does both. On recorded traces of web pages and databases a fifth gave 2 to 4 points more than a
# hundredth, and two fifths made little difference.
_LARGE_WINDOW: Final = 0.2

NAMES: Final = ("recency", "frequency", "both")


class Leader(Generic[K]):
    """`expert`: the one that is followed; recency first, since it needs nothing to be learnt. It alone notes what it
    lets go: in `expert.evicted`."""

    __slots__ = ("_ahead", "_experts", "_fading", "_place", "_popularity", "_unfaded_uses", "changes", "expert")

    def __init__(self, capacity: int, entries: int) -> None:
        self._popularity: Final = Popularity[K](entries)
        self._experts: Final[tuple[Recency[K] | Frequency[K], ...]] = (
            Recency[K](capacity),
            Frequency[K](capacity, entries, self._popularity),
            Frequency[K](capacity, entries, self._popularity, _LARGE_WINDOW),
        )
        for expert in self._experts[1:]:
            expert.evicted = deque(maxlen=0)
        self._place: int = 0
        self.expert: Recency[K] | Frequency[K] = self._experts[0]
        self.changes = 0
        self._fading = 1 - 1 / (_MEMORY_FACTOR * entries)
        self._ahead = [0.0] * len(self._experts)  # of the leader, in hits
        self._unfaded_uses = 0  # since then

    def use(self, entries: Sequence[Entry[K, Any]]) -> bool:
        """They are used, one after the other. Returns whether the lead has changed: then `follow` is to be called."""
        self._popularity.count(entries)
        recency, frequency, both = self._experts
        hits = recency.use(entries), frequency.use(entries), both.use(entries)
        self._unfaded_uses += len(entries)
        if hits[0] == hits[1] == hits[2]:  # as for every new key; what fades takes no lead
            return False
        fading, of_leader = self._fading**self._unfaded_uses, hits[self._place]
        self._unfaded_uses = 0
        self._ahead = [ahead * fading + own - of_leader for ahead, own in zip(self._ahead, hits, strict=True)]
        most = max(self._ahead)
        if most < _AHEAD_HITS:
            return False
        self._place = self._ahead.index(most)
        self._ahead = [ahead - most for ahead in self._ahead]
        self.changes += 1
        return True

    def follow(self, held: Iterable[K]) -> None:
        """From now on the leader notes what it lets go, after what is held already and it would not hold."""
        self.expert.evicted = deque(maxlen=0)
        self.expert = expert = self._experts[self._place]
        expert.evicted = deque(key for key in held if key not in expert)

    @property
    def name(self) -> str:
        return NAMES[self._place]

    def discard(self, key: K) -> None:
        for expert in self._experts:
            expert.discard(key)
