"""What a cache would hold that admits by frequency (W-TinyLFU).

A new key comes into a window, which evicts the least recently used. What leaves the window competes with the victim of
the main space: the one that was used more often of late stays. The main space is a segmented LRU: what is used there
again is protected. The smaller the window, the more it needs to get in: good against what is asked for once, bad for
what is asked for again soon and then never more.

Source: Einziger, Friedman, Manes: TinyLFU: A Highly Efficient Cache Admission Policy, ACM Transactions on Storage 13
(2017).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from typing import Any, Final, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.popularity import Popularity

K = TypeVar("K", bound=Hashable)

# The paper's.
SMALL_WINDOW: Final = 0.01
_PROTECTED_SHARE: Final = 0.8


class Frequency(Generic[K]):
    """`capacity` in weights; `entries`: how many keys it is for; `window_share`: of the room; `popularity` is counted
    by whoever owns it, before each `use`. `evicted`: as in `Recency`."""

    __slots__ = (
        "_main_capacity",
        "_main_used",
        "_popularity",
        "_probation",
        "_protected",
        "_protected_capacity",
        "_protected_used",
        "_window",
        "_window_capacity",
        "_window_used",
        "evicted",
    )

    def __init__(
        self, capacity: int, entries: int, popularity: Popularity[K], window_share: float = SMALL_WINDOW
    ) -> None:
        self.evicted = deque[K]()
        self._popularity = popularity
        self._window_capacity = max(capacity // entries, int(capacity * window_share))
        self._main_capacity = capacity - self._window_capacity
        self._protected_capacity = int(_PROTECTED_SHARE * self._main_capacity)
        self._window_used = self._main_used = self._protected_used = 0
        self._window: OrderedDict[K, int] = OrderedDict()
        self._probation: OrderedDict[K, int] = OrderedDict()
        self._protected: OrderedDict[K, int] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._protected or key in self._probation or key in self._window

    def use(self, entries: Iterable[Entry[K, Any]]) -> int:
        """As `Recency.use`; what is new may be let go again at once."""
        protected, window, probation, hits = self._protected, self._window, self._probation, 0
        for entry in entries:
            key, weight = entry.key, entry.weight
            if key in protected:
                space = protected
            elif key in window:
                space = window
            elif key in probation:
                space = probation
            else:
                self._hold(key, weight)
                continue
            hits += 1
            if space[key] != weight:
                self.discard(key)
                self._hold(key, weight)
            elif space is probation:
                self._protect(key)
            else:
                space.move_to_end(key)
        return hits

    def _hold(self, key: K, weight: int) -> None:
        self._window[key] = weight
        self._window_used += weight
        while self._window_used > self._window_capacity:
            candidate, its_weight = self._window.popitem(last=False)
            self._window_used -= its_weight
            self._admit(candidate, its_weight)

    def discard(self, key: K) -> None:
        """As `Recency.discard`."""
        self._window_used -= self._window.pop(key, 0)
        self._main_used -= self._probation.pop(key, 0)
        weight = self._protected.pop(key, 0)
        self._main_used -= weight
        self._protected_used -= weight

    def _protect(self, key: K) -> None:
        weight = self._probation.pop(key)
        self._protected[key] = weight
        self._protected_used += weight
        while self._protected_used > self._protected_capacity:
            least, its_weight = self._protected.popitem(last=False)
            self._protected_used -= its_weight
            self._probation[least] = its_weight

    def _admit(self, candidate: K, weight: int) -> None:
        if weight > self._main_capacity:
            self.evicted.append(candidate)
            return
        counts = self._popularity.counts
        often = counts.get(candidate, 0)
        while self._main_used + weight > self._main_capacity:
            pool = self._probation or self._protected
            victim = next(iter(pool))
            if often <= counts.get(victim, 0):
                self.evicted.append(candidate)
                return
            its_weight = pool.pop(victim)
            self._main_used -= its_weight
            if pool is self._protected:
                self._protected_used -= its_weight
            self.evicted.append(victim)
        self._probation[candidate] = weight
        self._main_used += weight
