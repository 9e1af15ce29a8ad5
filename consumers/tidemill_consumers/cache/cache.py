"""`Cache`: keys and values in memory, bounded in entries and in bytes.

A hit takes no lock: it notes the key, and a full batch of notes is worked off by the thread that filled it. Everything
that changes what is held is done under one lock, so entries and bytes always agree.

What is held is what the leader of three experts would hold (see `leader.py`), and what it has let go for as long as
there is room. The experts count weights: an entry's share of the room is that of its bytes or that of one entry,
whichever is larger, so what an expert would hold always fits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar, overload

from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.leader import Leader

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

Reason = Literal["full", "expired", "replaced", "discarded"]
"""Why an entry went: there was no room, its time was over, another value was put, or it was taken out."""

# So many hits are worked off together.
_BATCH: Final = 64
# Notes of hits may pile up to so many while another thread holds the lock; then it is waited for.
_MOST_NOTES: Final = 1024
# With a bound in bytes, how finely shares of the room are told apart: an entry of average size weighs so much.
_FINENESS: Final = 1024


@dataclass(frozen=True, slots=True)
class Stats:
    """A moment's figures. `hits` and `misses` count calls of `get`; `leader` is "recency", "frequency" or "both"."""

    entries: int
    bytes: int
    hits: int
    misses: int
    evicted: int
    expired: int
    leader: str
    changes: int

    @property
    def hit_ratio(self) -> float:
        """0.0 before the first `get`."""
        return self.hits / asked if (asked := self.hits + self.misses) else 0.0


class Cache(Generic[K, V]):
    """May be used by many threads at once.

    max_entries: at least 1. max_bytes: the sum of what `put` is told; None: not bounded.
    ttl_seconds: how long an entry may be used, unless `put` says otherwise; None: for ever.
    on_evict: called with key, value and reason after an entry has gone, by the thread whose call made it go, without
    the lock; not for a value that `put` did not keep. What it raises leaves that call; the cache is in order by then.
    Raises ValueError for a bound below 1 and for a time that is not above 0.
    """

    def __init__(
        self,
        max_entries: int,
        max_bytes: int | None = None,
        *,
        ttl_seconds: float | None = None,
        on_evict: Callable[[K, V, Reason], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _at_least_one("max_entries", max_entries)
        if max_bytes is not None:
            _at_least_one("max_bytes", max_bytes)
        self._max_entries: Final = max_entries
        self._max_bytes: Final = max_bytes
        self._ttl_seconds: Final = _lifetime(ttl_seconds)
        self._on_evict: Final = on_evict
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._most_evicted: Final = 2 * max_entries  # beyond that most stand there twice, or are wanted again
        self._unit: Final = 1 if max_bytes is None else _FINENESS
        self._hits = self._misses = self._evicted = self._expired = 0
        self._start_empty()

    def _start_empty(self) -> None:
        self._entries: dict[K, Entry[K, V]] = {}
        self._bytes = 0
        self._leader: Leader[K] = Leader(self._max_entries * self._unit, self._max_entries)
        self._notes: deque[Entry[K, V]] = deque()  # of hits

    # -- reading ------------------------------------------------------------------------------------------------

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: D | None = None) -> V | D | None:
        """The value, or the default when there is none or its time is over. Counts, and keeps the entry longer."""
        entry = self._entries.get(key)
        if entry is None or (entry.ends is not None and entry.ends <= self._clock()):
            self._missed(key, entry)
            return default
        notes = self._notes
        notes.append(entry)
        if len(notes) >= _BATCH:
            self._work_off()
        return entry.value

    @overload
    def peek(self, key: K) -> V | None: ...
    @overload
    def peek(self, key: K, default: D) -> V | D: ...
    def peek(self, key: K, default: D | None = None) -> V | D | None:
        """As `get`, but without a trace."""
        entry = self._entries.get(key)
        if entry is None or (entry.ends is not None and entry.ends <= self._clock()):
            return default
        return entry.value

    def __contains__(self, key: K) -> bool:
        """Whether `peek` has something."""
        entry = self._entries.get(key)
        return entry is not None and (entry.ends is None or entry.ends > self._clock())

    def __len__(self) -> int:
        """How many entries there are, those included whose time is over but that nobody has asked for."""
        return len(self._entries)

    def stats(self) -> Stats:
        with self._lock:
            return Stats(
                entries=len(self._entries),
                bytes=self._bytes,
                hits=self._hits + len(self._notes),
                misses=self._misses,
                evicted=self._evicted,
                expired=self._expired,
                leader=self._leader.name,
                changes=self._leader.changes,
            )

    # -- writing ------------------------------------------------------------------------------------------------

    def put(self, key: K, value: V, size_bytes: int = 0, *, ttl_seconds: float | None = None) -> bool:
        """Holds the value under this key, in place of another one. Returns whether it is held now: what is larger than
        the cache never is, and what the leader thinks little of may go at once when there is no room.

        size_bytes: what the entry counts for against `max_bytes`. ttl_seconds: None: the cache's.
        Raises ValueError for a negative size, and for a time that is not above 0.
        """
        if size_bytes < 0:
            raise ValueError(f"size_bytes is a number of bytes, 0 or more: not {size_bytes!r}")
        lifetime = self._ttl_seconds if ttl_seconds is None else _lifetime(ttl_seconds)
        ends = None if lifetime is None else self._clock() + lifetime
        gone: list[tuple[K, V, Reason]] = []
        with self._lock:
            self._follow_notes()
            before = self._take_out(key)
            if before is not None:
                gone.append((key, before.value, "replaced"))
            is_too_large = self._max_bytes is not None and size_bytes > self._max_bytes
            if is_too_large:
                self._leader.discard(key)
            else:
                entry = Entry(key, value, size_bytes, self._weight(size_bytes), ends)
                self._entries[key] = entry
                self._bytes += size_bytes
                self._follow([entry])
                self._make_room(key, gone)
            is_held = key in self._entries
        self._tell(gone)
        return is_held

    def discard(self, key: K) -> bool:
        """Takes the entry out. Returns whether there was one."""
        with self._lock:
            entry = self._take_out(key)
            self._leader.discard(key)
        if entry is None:
            return False
        self._tell([(key, entry.value, "discarded")])
        return True

    def clear(self) -> None:
        """Takes everything out, and forgets what was learnt of the keys. The figures of `stats` go on."""
        with self._lock:
            self._hits += len(self._notes)
            entries = self._entries
            self._start_empty()
        self._tell([(key, entry.value, "discarded") for key, entry in entries.items()])

    # -- inside; all but the first two with the lock --------------------------------------------------------------

    def _missed(self, key: K, entry: Entry[K, V] | None) -> None:
        is_over = False
        with self._lock:
            self._misses += 1
            if entry is not None and self._entries.get(key) is entry:
                self._take_out(key)
                self._leader.discard(key)
                self._expired += 1
                is_over = True
        if entry is not None and is_over:
            self._tell([(key, entry.value, "expired")])

    def _work_off(self) -> None:
        if self._lock.acquire(blocking=len(self._notes) >= _MOST_NOTES):
            try:
                self._follow_notes()
            finally:
                self._lock.release()

    def _follow_notes(self) -> None:
        notes = self._notes
        if notes:
            used = [notes.popleft() for _ in range(len(notes))]  # others append meanwhile
            self._hits += len(used)
            self._follow(used)

    def _follow(self, used: Sequence[Entry[K, V]]) -> None:
        leader = self._leader
        if leader.use(used) or len(leader.expert.evicted) > self._most_evicted:
            leader.follow(self._entries)

    def _make_room(self, newcomer: K, gone: list[tuple[K, V, Reason]]) -> None:
        """What the leader would hold fits, so what has to go is what it has let go. A newcomer that goes has never been
        held."""
        expert = self._leader.expert
        while len(self._entries) > self._max_entries or (self._max_bytes is not None and self._bytes > self._max_bytes):
            key = expert.evicted.popleft()
            if key in expert:  # again
                continue
            entry = self._take_out(key)
            if entry is not None and key != newcomer:
                self._evicted += 1
                gone.append((key, entry.value, "full"))

    def _take_out(self, key: K) -> Entry[K, V] | None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size_bytes
        return entry

    def _weight(self, size_bytes: int) -> int:
        if self._max_bytes is None:
            return self._unit
        return max(self._unit, -(-size_bytes * self._max_entries * self._unit // self._max_bytes))

    def _tell(self, gone: list[tuple[K, V, Reason]]) -> None:
        if self._on_evict is not None:
            for key, value, reason in gone:
                self._on_evict(key, value, reason)


def _at_least_one(name: str, number: int) -> None:
    if number < 1:
        raise ValueError(f"{name} is 1 or more: not {number!r}")


def _lifetime(ttl_seconds: float | None) -> float | None:
    if ttl_seconds is not None and not ttl_seconds > 0:
        raise ValueError(f"ttl_seconds is a number of seconds above 0: not {ttl_seconds!r}")
    return ttl_seconds
