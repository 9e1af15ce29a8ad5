"""Accesses of programs, made by rule: what a cache must be good at."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate, cycle, islice
from random import Random
from typing import Final


def _popular(keys: int, exponent: float = 1.0) -> list[float]:
    """Cumulative weights by Zipf's law: the second key is asked for half as often as the first, and so on."""
    return list(accumulate(1 / (key + 1) ** exponent for key in range(keys)))


def _one_of(weights: list[float], random: Random) -> int:
    return bisect(weights, random.random() * weights[-1])


def skewed(random: Random, length: int) -> list[int]:
    """A few keys are asked for all the time, most hardly ever: Zipf's law."""
    keys = range(5_000)
    return random.choices(keys, weights=[1 / (key + 1) for key in keys], k=length)


def shifting(random: Random, length: int) -> list[int]:
    """As `skewed`, and what is popular changes five times."""
    return [key + 10_000 * (place * 5 // length) for place, key in enumerate(skewed(random, length))]


def scanned(random: Random, length: int) -> list[int]:
    """As `skewed`, and a pass through keys that nobody asks for again comes in between, now and then."""
    found: list[int] = []
    for place, key in enumerate(skewed(random, length)):
        found.append(key)
        if place % 1_000 == 999:
            found += range(100_000 + place, 101_000 + place)
    return found[:length]


def looping(random: Random, length: int) -> list[int]:
    """Round and round through more keys than there is room for."""
    return [place % 1_000 for place in range(length)]


def recent(random: Random, length: int) -> list[int]:
    """What was asked for a little while ago is asked for again, then never more."""
    found: list[int] = []
    for place in range(length):
        back = random.randrange(1, 400)
        found.append(found[-back] if len(found) > back and random.random() < 0.7 else place + 1_000_000)
    return found


def drifting(random: Random, length: int) -> list[int]:
    """Web pages: what is popular moves on a little with every request, so that it is new after some ten thousand."""
    weights = _popular(20_000, 0.9)
    return [_one_of(weights, random) * 97 % 20_000 + place // 4 for place in range(length)]


def day_and_night(random: Random, length: int) -> list[int]:
    """Two programs by turns: many users with their own favourites, then a batch that reads all it has twice."""
    weights, found, night = _popular(4_000), list[int](), 0
    while len(found) < length:
        found += [_one_of(weights, random) for _ in range(5_000)]
        batch = range(10_000 + 1_500 * night, 11_500 + 1_500 * night)
        found += [*batch, *batch]
        night += 1
    return found[:length]


def bursts(random: Random, length: int) -> list[int]:
    """One thing is asked for some ten times within a short while and never more, beside a skewed load."""
    weights, found, hot = _popular(3_000), list[int](), list[int]()
    for place in range(length):
        if place % 20 == 0:
            hot = [*hot[-15:], 100_000 + place]
        found.append(random.choice(hot) if random.random() < 0.5 else _one_of(weights, random))
    return found


def one_time_flood(random: Random, length: int) -> list[int]:
    """Every second request is for what nobody asks for again (a crawler); the others are skewed."""
    weights = _popular(3_000)
    return [place + 100_000 if place % 2 else _one_of(weights, random) for place in range(length)]


def object_mapper(random: Random, length: int) -> list[int]:
    """An ORM: a request reads its user, the user's rows several times over, and tables that all requests share."""
    users, shared, found = _popular(2_000, 0.8), _popular(100), list[int]()
    while len(found) < length:
        user = 1_000 + 20 * _one_of(users, random)
        rows = range(user, user + random.randrange(3, 12))
        for _ in range(random.randrange(1, 5)):
            found += rows
            found += [_one_of(shared, random) for _ in range(4)]
    return found[:length]


def transactions(random: Random, length: int) -> list[int]:
    """OLTP: pages of an index all the time, pages of the newest rows, and old rows at random."""
    index, found = _popular(500), list[int]()
    for place in range(length):
        chance, newest = random.random(), 10_000 + place // 30
        if chance < 0.4:
            found.append(_one_of(index, random))
        elif chance < 0.8:
            found.append(newest - int(random.expovariate(1 / 150)))
        else:
            found.append(random.randrange(5_000, newest))
    return found


def blocks(random: Random, length: int) -> list[int]:
    """Block I/O: files are read from the first block to the last, popular ones more often; between them, metadata."""
    files, metadata, found = _popular(400, 0.9), _popular(200), list[int]()
    while len(found) < length:
        file = _one_of(files, random)
        size = 1 + file * 7919 % 97
        for block in range(size):
            found.append(10_000 + 100 * file + block)
            if block % 8 == 0:
                found.append(_one_of(metadata, random))
    return found[:length]


def code_search(random: Random, length: int) -> list[int]:
    """Each search reads the whole index in order, beside the files of its hits; one search is repeated at once."""
    files, found = _popular(3_000), list[int]()
    while len(found) < length:
        hits = [10_000 + _one_of(files, random) for _ in range(random.randrange(20, 80))]
        found += [*range(700), *hits]
        if random.random() < 0.3:
            found += [*range(700), *hits]
    return found[:length]


def loop_and_recent(random: Random, length: int) -> list[int]:
    """Two programs at once: one goes round a loop, one asks again for what it asked for of late."""
    loop, local = cycle(range(700)), recent(random, length)
    return [next(loop) if random.random() < 0.5 else key for key in local]


def loop_then_recent(random: Random, length: int) -> list[int]:
    """A loop, then what was asked for of late, by turns of some thousand."""
    loop, local = cycle(range(900)), iter(recent(random, length))
    found: list[int] = []
    while len(found) < length:
        found += islice(loop, 5_000)
        found += islice(local, 5_000)
    return found[:length]


def there_and_back(random: Random, length: int) -> list[int]:
    """Up and down through the same keys, so that the newest comes again first."""
    return list(islice(cycle([*range(900), *reversed(range(900))]), length))


TRACES: Final[dict[str, Callable[[Random, int], list[int]]]] = {
    trace.__name__: trace
    for trace in (
        skewed,
        shifting,
        scanned,
        looping,
        recent,
        drifting,
        day_and_night,
        bursts,
        one_time_flood,
        object_mapper,
        transactions,
        blocks,
        code_search,
        loop_and_recent,
        loop_then_recent,
        there_and_back,
    )
}
