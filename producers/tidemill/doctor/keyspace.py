"""Which of the keys in `wire/keys.py` a key is."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tidemill.wire.keys import LANES, TYPES

# The rules for what stands between `<` and `>` in the table; names that are not here can be anything.
_PARTS: Final = {
    "queue": r"[a-z0-9_.-]{1,64}",
    "lane": "|".join(LANES),
    "limit": r"[rc](?:[0-9a-f]{20}|q\.[a-z0-9_.-]{1,64})",
    "digest": r"[0-9a-f]{32}",
    "tenant": "[0-9a-f]{16}|-",
    "name": r"[a-z0-9_.-]{1,64}",
    "number": r"[1-9][0-9]*",
    "day": r"[0-9]+",
    "hour": r"[0-9]+",
    "task": r"[A-Za-z_][A-Za-z0-9_.-]{0,127}",
}


class Known(NamedTuple):
    """A key of the table: the name before its first colon, the name behind that, and the type that it must have."""

    family: str
    name: str
    type: str


_PATTERNS: Final = {
    row.partition(":")[0]: (re.compile(re.sub(r"<(\w+)>", lambda part: f"({_PARTS.get(part[1], '.+')})", row)), kind)
    for row, kind in TYPES.items()
}


def identify(key: str) -> Known | None:
    """Of a key without its prefix; None: it is none of ours."""
    family = key.partition(":")[0]
    pattern, kind = _PATTERNS.get(family, (None, ""))
    found = pattern.fullmatch(key) if pattern else None
    return None if found is None else Known(family, found[1] if found.groups() else "", kind)
