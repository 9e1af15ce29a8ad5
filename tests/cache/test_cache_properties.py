"""Whatever is done to a cache: it keeps its bounds, its books agree, and each entry that goes is told once."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tidemill_consumers.cache import Cache, Reason

KEYS = st.integers(0, 15)
SIZES = st.integers(0, 60)


class Machine(RuleBasedStateMachine):
    """Beside the cache: every value that was put, and what became of it."""

    @initialize(max_entries=st.integers(1, 8), max_bytes=st.none() | st.integers(1, 100))
    def begin(self, max_entries: int, max_bytes: int | None) -> None:
        self.now = 0.0
        self.bounds = max_entries, max_bytes
        self.cache: Cache[int, int] = Cache(max_entries, max_bytes, on_evict=self.went, clock=lambda: self.now)
        self.held: dict[int, tuple[int, int, float]] = {}  # value, size, end
        self.put_values = 0
        self.reasons: Counter[str] = Counter()

    def went(self, key: int, value: int, reason: Reason) -> None:
        known, _, ends = self.held[key]
        assert known == value, "each is told once, and before another one of its key"
        if reason == "expired":
            assert ends <= self.now
        if reason == "full":
            self.reasons["full"] += 1
            leader = self.cache._leader.expert  # pyright: ignore[reportPrivateUsage] - what it wants is nobody's to ask
            assert key not in leader, "what the leader would hold stays"
        del self.held[key]

    @rule(key=KEYS, size=SIZES, ttl=st.none() | st.integers(1, 5))
    def put(self, key: int, size: int, ttl: int | None) -> None:
        self.put_values += 1
        value = self.put_values
        former = self.held.get(key)
        is_held = self.cache.put(key, value, size, ttl_seconds=ttl)
        assert former is None or former[0] != value
        if is_held:
            self.held[key] = value, size, float("inf") if ttl is None else self.now + ttl
        assert self.cache.peek(key) == (value if is_held else None)

    @rule(key=KEYS, times=st.sampled_from([1, 2, 70]))
    def get(self, key: int, times: int) -> None:
        for _ in range(times):
            found = self.held.get(key)
            expected = found[0] if found is not None and found[2] > self.now else None
            assert self.cache.get(key) == expected
            assert (key in self.cache) == (expected is not None)

    @rule(key=KEYS)
    def discard(self, key: int) -> None:
        was_held = key in self.held
        assert self.cache.discard(key) == was_held
        assert key not in self.held

    @rule(seconds=st.integers(1, 3))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        assert not self.held

    @invariant()
    def books_agree(self) -> None:
        stats, (max_entries, max_bytes) = self.cache.stats(), self.bounds
        assert stats.entries == len(self.cache) == len(self.held) <= max_entries
        assert stats.bytes == sum(size for _, size, _ in self.held.values())
        assert max_bytes is None or stats.bytes <= max_bytes
        assert stats.evicted == self.reasons["full"]


Machine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestCache = Machine.TestCase
