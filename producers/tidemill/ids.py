"""Job ids: time-sortable, 21 characters, URL-safe, without letters that look alike (Crockford's base 32).

45 bits of milliseconds (until the year 3084), then 60 random bits. Of a million ids a second, two meet once in about
seventy years (n²/2 pairs of the n = 1000 in a millisecond, of 2^60).
"""

from __future__ import annotations

import os
import random
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at a time: ten bits index this table.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
# Twice, so that from any place as many follow as there are.
_TAILS = 2 * _PAIRS

# A generator of our own, since a program that seeds `random` for its own ends would make the same ids in each of its
# processes; and a fork must not continue its parent's sequence.
_random = random.Random(os.urandom(32))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_id() -> str:
    now_ms = time.time_ns() // 1_000_000
    noise = _random.getrandbits(60)
    return (
        f"{_ALPHABET[now_ms >> 40 & 31]}{_PAIRS[now_ms >> 30 & 1023]}{_PAIRS[now_ms >> 20 & 1023]}"
        f"{_PAIRS[now_ms >> 10 & 1023]}{_PAIRS[now_ms & 1023]}"
        f"{_PAIRS[noise >> 50]}{_PAIRS[noise >> 40 & 1023]}{_PAIRS[noise >> 30 & 1023]}"
        f"{_PAIRS[noise >> 20 & 1023]}{_PAIRS[noise >> 10 & 1023]}{_PAIRS[noise & 1023]}"
    )


def new_ids(count: int) -> list[str]:
    """As many ids, for the price of a few. Up to 1024 of them differ in their last two characters alone, which count on
    from a random place: so two calls meet no sooner than they would if each of their ids were all random.
    """
    ids: list[str] = []
    while len(ids) < count:
        head, place = new_id()[:-2], _random.getrandbits(10)
        ids += [head + tail for tail in _TAILS[place : place + min(len(_PAIRS), count - len(ids))]]
    return ids
