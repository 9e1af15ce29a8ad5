"""How often each key was used of late.

As the sketch of TinyLFU does (Einziger, Friedman, Manes, ACM Transactions on Storage 13, 2017), but with a counter for
each key instead of a hash of it. All are halved after ten times as many uses as the cache has room for: that forgets
what is no longer popular, and bounds the number of counters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final, Generic, TypeVar

from tidemill_consumers.cache.entry import Entry

K = TypeVar("K", bound=Hashable)

# The paper's: four bits for a count, and a sample of ten times the entries.
_MOST_COUNT: Final = 15
_SAMPLE_FACTOR: Final = 10


class Popularity(Generic[K]):
    """`counts`: from 1 to 15; what is not there was not used. Another dict after each halving."""

    __slots__ = ("_counted", "_sample", "counts")

    def __init__(self, entries: int) -> None:
        self.counts: dict[K, int] = {}
        self._counted = 0
        self._sample = _SAMPLE_FACTOR * entries

    def count(self, entries: Iterable[Entry[K, Any]]) -> None:
        """They were used."""
        counts = self.counts
        for entry in entries:
            count = counts.get(entry.key, 0)
            if count < _MOST_COUNT:
                counts[entry.key] = count + 1
                self._counted += 1
                if self._counted >= self._sample:
                    self._counted >>= 1
                    self.counts = counts = {key: count >> 1 for key, count in counts.items() if count > 1}
