"""Job ids: time-sortable, 21 characters, URL-safe, without letters that look alike (Crockford's base 32).

45 bits of milliseconds (until the year 3084), then 60 random bits. A million ids a second collide once in about forty
thousand years, and a collision would be refused as "already there".
"""

from __future__ import annotations

import os
import random
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at a time: ten bits index this table.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]

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
