"""What a cache would hold that evicts the least recently used (LRU)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from typing import Any, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry

K = TypeVar("K", bound=Hashable)


class Recency(Generic[K]):
    """`evicted`: the keys that it has let go, the first one first. Whoever follows it takes them out; for one that
    nobody follows it is a deque without room."""

    __slots__ = ("_capacity", "_held", "_used", "evicted")

    def __init__(self, capacity: int) -> None:
        self.evicted = deque[K]()
        self._capacity = capacity
        self._used = 0
        self._held: OrderedDict[K, int] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._held

    def use(self, entries: Iterable[Entry[K, Any]]) -> int:
        """They are used, one after the other. Returns how many of them it held; the others it holds from now on."""
        held, hits = self._held, 0
        for entry in entries:
            key = entry.key
            weight = held.get(key)
            if weight == entry.weight:
                held.move_to_end(key)
                hits += 1
            else:
                hits += weight is not None
                self._hold(entry, weight or 0)
        return hits

    def _hold(self, entry: Entry[K, Any], former_weight: int) -> None:
        held = self._held
        held[entry.key] = entry.weight
        held.move_to_end(entry.key)
        self._used += entry.weight - former_weight
        while self._used > self._capacity:
            key, weight = held.popitem(last=False)
            self._used -= weight
            self.evicted.append(key)

    def discard(self, key: K) -> None:
        """The key is gone."""
        self._used -= self._held.pop(key, 0)
