"""The cache holds what was put, within its bounds, and says what went and why."""

from __future__ import annotations

import pytest

from tidemill_consumers.cache import Cache, Reason

Gone = list[tuple[str, int, Reason]]


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def telling(gone: Gone, max_entries: int = 2, max_bytes: int | None = None) -> Cache[str, int]:
    """A cache whose evictions are noted."""
    return Cache(max_entries, max_bytes, on_evict=lambda key, value, reason: gone.append((key, value, reason)))


def test_what_was_put_is_there_until_something_else_is_put_under_its_key() -> None:
    gone: Gone = []
    cache = telling(gone)
    assert cache.get("a") is None
    assert cache.get("a", "nothing") == "nothing"
    assert cache.put("a", 1)
    assert (cache.get("a"), cache.peek("a"), "a" in cache, len(cache)) == (1, 1, True, 1)
    assert cache.put("a", 2)
    assert cache.get("a") == 2
    assert gone == [("a", 1, "replaced")]


def test_a_value_may_be_none() -> None:
    cache: Cache[str, None] = Cache(2)
    cache.put("a", None)
    assert cache.get("a", "nothing") is None
    assert cache.peek("b", "nothing") == "nothing"


def test_when_there_is_no_room_the_least_recently_used_goes_first() -> None:
    gone: Gone = []
    cache = telling(gone)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert gone == [("b", 2, "full")]
    assert sorted(key for key in "abc" if key in cache) == ["a", "c"]


def test_a_look_leaves_no_trace() -> None:
    gone: Gone = []
    cache = telling(gone)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.peek("a") == 1
    cache.put("c", 3)
    assert gone == [("a", 1, "full")]
    assert (cache.stats().hits, cache.stats().misses) == (0, 0)


def test_bytes_are_a_bound_as_well() -> None:
    gone: Gone = []
    cache = telling(gone, max_entries=10, max_bytes=100)
    assert cache.put("a", 1, 40)
    assert cache.put("b", 2, 40)
    assert cache.put("c", 3, 40)
    assert gone == [("a", 1, "full")]
    assert cache.stats().bytes == 80
    assert cache.put("b", 4, 60)
    assert gone == [("a", 1, "full"), ("b", 2, "replaced")]
    assert cache.stats().bytes == 100


def _let_recency_lead(cache: Cache[str, int]) -> None:
    for number in range(30):
        cache.put(str(number), number)
        cache.get(str(number - 1))
    for number in range(30):
        cache.discard(str(number))
    assert (cache.stats().leader, cache.stats().changes, len(cache)) == ("recency", 0, 0)


def test_what_was_to_go_first_and_was_used_again_stays() -> None:
    gone: Gone = []
    cache = telling(gone, max_entries=10, max_bytes=100)
    _let_recency_lead(cache)
    for key in "abcde":
        cache.put(key, 1)
    cache.put("f", 1, 60)  # shares of the room: five tenths and six make "a" the first to go
    assert cache.get("a") == 1
    cache.put("g", 1, 50)
    assert "a" in cache
    assert gone[-1] == ("f", 1, "full"), "only that makes room"


def test_what_is_larger_than_the_cache_is_not_held_and_what_was_there_before_goes() -> None:
    gone: Gone = []
    cache = telling(gone, max_entries=10, max_bytes=100)
    cache.put("a", 1, 10)
    cache.put("b", 2, 10)
    assert not cache.put("a", 3, 101)
    assert gone == [("a", 1, "replaced")]
    assert ("a" in cache, "b" in cache, cache.stats().bytes) == (False, True, 10)


def test_an_entry_ends_with_its_time() -> None:
    gone: Gone = []
    clock = Clock()
    cache: Cache[str, int] = Cache(
        9, ttl_seconds=5, on_evict=lambda key, value, reason: gone.append((key, value, reason)), clock=clock
    )
    cache.put("a", 1)
    cache.put("b", 2, ttl_seconds=20)
    clock.now += 4.9
    assert cache.get("a") == 1
    clock.now += 0.1
    assert "a" not in cache
    assert cache.peek("a") is None
    assert gone == [], "nobody has asked"
    assert cache.get("a") is None
    assert gone == [("a", 1, "expired")]
    assert cache.get("b") == 2
    assert (cache.stats().expired, cache.stats().evicted, len(cache)) == (1, 0, 1)


def test_an_entry_can_be_taken_out() -> None:
    gone: Gone = []
    cache = telling(gone)
    cache.put("a", 1, 7)
    assert cache.discard("a")
    assert not cache.discard("a")
    assert gone == [("a", 1, "discarded")]
    assert cache.stats().bytes == 0


def test_all_can_be_taken_out() -> None:
    gone: Gone = []
    cache = telling(gone)
    cache.put("a", 1, 7)
    cache.put("b", 2, 7)
    cache.get("a")
    cache.clear()
    assert gone == [("a", 1, "discarded"), ("b", 2, "discarded")]
    assert (len(cache), cache.stats().bytes, cache.stats().hits) == (0, 0, 1)
    cache.put("a", 3)
    assert cache.get("a") == 3


def test_hits_and_misses_are_counted() -> None:
    cache: Cache[int, int] = Cache(4)
    assert cache.stats().hit_ratio == 0.0
    cache.get(1)
    cache.put(1, 1)
    for _ in range(99):
        cache.get(1)
    found = cache.stats()
    assert (found.hits, found.misses, found.hit_ratio) == (99, 1, 0.99)


def test_an_error_of_the_callback_leaves_the_cache_in_order() -> None:
    def refuse(key: str, value: int, reason: Reason) -> None:
        raise RuntimeError(f"{key} went: {reason}")

    cache: Cache[str, int] = Cache(1, on_evict=refuse)
    cache.put("a", 1)
    with pytest.raises(RuntimeError, match="a went: full"):
        cache.put("b", 2)
    assert (cache.get("a"), cache.get("b"), len(cache)) == (None, 2, 1)


def test_the_callback_may_use_the_cache() -> None:
    second: Cache[str, int] = Cache(10)

    def move(key: str, value: int, reason: Reason) -> None:
        second.put(key, value + first.peek("b", 0))

    first: Cache[str, int] = Cache(1, on_evict=move)
    first.put("a", 1)
    first.put("b", 2)
    assert second.get("a") == 3


@pytest.mark.parametrize("bounds", [(0,), (-1,), (1, 0)])
def test_a_cache_without_room_is_refused(bounds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="is 1 or more: not"):
        Cache(*bounds)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_time_that_is_over_at_once_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="ttl_seconds is a number of seconds above 0"):
        Cache(1, ttl_seconds=seconds)
    cache: Cache[str, int] = Cache(1)
    with pytest.raises(ValueError, match="ttl_seconds is a number of seconds above 0"):
        cache.put("a", 1, ttl_seconds=seconds)
    with pytest.raises(ValueError, match="size_bytes is a number of bytes, 0 or more: not -1"):
        cache.put("a", 1, -1)
    assert len(cache) == 0
