"""Policies of caches with entries of one size: from keys and a capacity to the number of hits.

Ours, what it is compared with, and the best that anybody could do who knew the future.
"""

from __future__ import annotations

import heapq
import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from tidemill_consumers.cache import Cache
from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.frequency import Frequency
from tidemill_consumers.cache.popularity import Popularity

Policy = Callable[[Sequence[int], int], int]

# The simple rule's: the weight of frequency, and how long recency takes to fade, with a request each 10 ms.
_ALPHA: Final = 0.8
_FADING_REQUESTS: Final = 300 * 100
# It looks at so many entries to find one to evict: the lowest of all would need a pass through all of them.
_LOOKED_AT: Final = 32


def tidemill(keys: Sequence[int], capacity: int) -> int:
    cache: Cache[int, int] = Cache(capacity)
    for key in keys:
        if cache.get(key) is None:
            cache.put(key, key)
    return cache.stats().hits


def least_recently_used(keys: Sequence[int], capacity: int) -> int:
    held, hits = OrderedDict[int, None](), 0
    for key in keys:
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            if len(held) >= capacity:
                held.popitem(last=False)
            held[key] = None
    return hits


def least_frequently_used(keys: Sequence[int], capacity: int) -> int:
    """By uses since it came in; of equals the least recently used goes."""
    uses: dict[int, int] = {}
    having: dict[int, OrderedDict[int, None]] = {}  # so many uses
    fewest, hits = 1, 0
    for key in keys:
        before = uses.get(key, 0)
        if before:
            hits += 1
            del having[before][key]
        else:
            if len(uses) >= capacity:
                while not having.get(fewest):
                    fewest += 1
                del uses[having[fewest].popitem(last=False)[0]]
            fewest = 1
        uses[key] = before + 1
        having.setdefault(before + 1, OrderedDict())[key] = None
    return hits


def admitting_by_frequency(keys: Sequence[int], capacity: int) -> int:
    """W-TinyLFU with a window of 1 %."""
    popularity = Popularity[int](capacity)
    expert, hits = Frequency[int](capacity, capacity, popularity), 0
    for key in keys:
        used = (Entry(key, None, 0, 1, None),)
        popularity.count(used)
        hits += expert.use(used)
    return hits


def simple_rule(keys: Sequence[int], capacity: int) -> int:
    """Evicts the lowest of 0.8 x frequency + 0.2 x recency. Frequency: uses, as a share of the most of any; recency:
    from 1 down to 0 within 300 s."""
    random, most, hits = Random(1), 1, 0
    held: list[int] = []
    known: dict[int, list[int]] = {}  # place in `held`, uses, last use
    for now, key in enumerate(keys):
        found = known.get(key)
        if found is not None:
            hits += 1
            found[1] += 1
            found[2] = now
            most = max(most, found[1])
        elif len(held) < capacity:
            known[key] = [len(held), 1, now]
            held.append(key)
        else:
            share, fade = _ALPHA / most, (1 - _ALPHA) / _FADING_REQUESTS
            looked_at = random.choices(held, k=min(capacity, _LOOKED_AT))
            _, out = min(
                (share * uses + max(0.0, 1 - _ALPHA - fade * (now - last)), candidate)
                for candidate in looked_at
                for _, uses, last in (known[candidate],)
            )
            place = known.pop(out)[0]
            held[place] = key
            known[key] = [place, 1, now]
    return hits


def clairvoyant(keys: Sequence[int], capacity: int) -> int:
    """Belady's optimum: what is used again last goes, or does not come in at all."""
    never = len(keys)
    following, later = [never] * never, dict[int, int]()
    for place in range(never - 1, -1, -1):
        following[place] = later.get(keys[place], never)
        later[keys[place]] = place
    held, by_next, hits = dict[int, int](), list[tuple[int, int]](), 0
    for place, key in enumerate(keys):
        hits += key in held
        if following[place] == never:
            held.pop(key, None)
            continue
        held[key] = following[place]
        heapq.heappush(by_next, (-following[place], key))
        while len(held) > capacity:
            when, candidate = heapq.heappop(by_next)
            if held.get(candidate) == -when:
                del held[candidate]
    return hits


OURS: Final = "Tidemill"
OPTIMUM: Final = "OPT"
POLICIES: Final[Mapping[str, Policy]] = {
    "LRU": least_recently_used,
    "LFU": least_frequently_used,
    "W-TinyLFU": admitting_by_frequency,
    "simple rule": simple_rule,
    OURS: tidemill,
    OPTIMUM: clairvoyant,
}


def from_module(path: Path) -> dict[str, Policy]:
    """Those of another program: its `POLICIES` are functions of keys from 0 on, their number and a capacity."""
    spec = importlib.util.spec_from_file_location("more_policies", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def taking_keys(function: Callable[[Sequence[int], int, int], int]) -> Policy:
        return lambda keys, capacity: function(keys, max(keys) + 1, capacity)

    online = {name: function for name, function in module.POLICIES.items() if name not in {"MIN", "OPT"}}
    return {name: taking_keys(function) for name, function in online.items()}
