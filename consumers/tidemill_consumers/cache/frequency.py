"""What a cache would hold that admits by frequency (W-TinyLFU).

A new key comes into a small window (1 %), which evicts the least recently used. What leaves the window competes with
the victim of the main space: the one that was used more often of late stays. The main space is a segmented LRU: what
is used there again is protected.

Source: Einziger, Friedman, Manes: TinyLFU: A Highly Efficient Cache Admission Policy, ACM Transactions on Storage 13
(2017). Instead of their sketch there is a counter for each key, up to 15; all are halved after ten times as many uses
as the cache has room for, so their number is bounded by that as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, Final, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry

K = TypeVar("K", bound=Hashable)

# The paper's: a hundredth of the room for the window, four fifths of the rest protected, four bits for a count, and a
# sample of ten times the entries.
_WINDOW_PART: Final = 100
_PROTECTED_SHARE: Final = 0.8
_MOST_COUNT: Final = 15
_SAMPLE_FACTOR: Final = 10


class Frequency(Generic[K]):
    """`capacity` in weights; `entries`: how many keys it is for. `evicted`: as in `Recency`."""

    __slots__ = (
        "_counted",
        "_counts",
        "_main_capacity",
        "_main_used",
        "_probation",
        "_protected",
        "_protected_capacity",
        "_protected_used",
        "_sample",
        "_window",
        "_window_capacity",
        "_window_used",
        "evicted",
    )

    def __init__(self, capacity: int, entries: int) -> None:
        self.evicted: list[K] = []
        self._window_capacity = max(capacity // entries, capacity // _WINDOW_PART)
        self._main_capacity = capacity - self._window_capacity
        self._protected_capacity = int(_PROTECTED_SHARE * self._main_capacity)
        self._window_used = self._main_used = self._protected_used = 0
        self._window: OrderedDict[K, int] = OrderedDict()
        self._probation: OrderedDict[K, int] = OrderedDict()
        self._protected: OrderedDict[K, int] = OrderedDict()
        self._counts: dict[K, int] = {}
        self._counted = 0
        self._sample = _SAMPLE_FACTOR * entries

    def __contains__(self, key: K) -> bool:
        return key in self._protected or key in self._probation or key in self._window

    def use(self, entries: Iterable[Entry[K, Any]]) -> int:
        """As `Recency.use`; what is new may be let go again at once."""
        protected, window, probation, hits = self._protected, self._window, self._probation, 0
        for entry in entries:
            key, weight = entry.key, entry.weight
            count = self._counts.get(key, 0)
            if count < _MOST_COUNT:
                self._counts[key] = count + 1
                self._counted += 1
                if self._counted >= self._sample:
                    self._fade()
            if protected.get(key) == weight:
                protected.move_to_end(key)
                hits += 1
            elif window.get(key) == weight:
                window.move_to_end(key)
                hits += 1
            elif probation.get(key) == weight:
                self._protect(key)
                hits += 1
            else:
                hits += self._hold(key, weight)
        return hits

    def _hold(self, key: K, weight: int) -> bool:
        is_held = key in self
        if is_held:  # with another weight
            self.discard(key)
        self._window[key] = weight
        self._window_used += weight
        while self._window_used > self._window_capacity:
            candidate, its_weight = self._window.popitem(last=False)
            self._window_used -= its_weight
            self._admit(candidate, its_weight)
        return is_held

    def discard(self, key: K) -> None:
        """As `Recency.discard`. How often it was used is remembered."""
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
        often = self._counts.get(candidate, 0)
        while self._main_used + weight > self._main_capacity:
            pool = self._probation or self._protected
            victim = next(iter(pool))
            if often <= self._counts.get(victim, 0):
                self.evicted.append(candidate)
                return
            its_weight = pool.pop(victim)
            self._main_used -= its_weight
            if pool is self._protected:
                self._protected_used -= its_weight
            self.evicted.append(victim)
        self._probation[candidate] = weight
        self._main_used += weight

    def _fade(self) -> None:
        self._counts = {key: count >> 1 for key, count in self._counts.items() if count > 1}
        self._counted >>= 1
