"""Which versions are current, of the templates that this worker has met.

The loader asks, and asks again when it hears of a change; the reader looks. A template whose news were missed is found
by reading all anew after each connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from tidemill.wire.templating import Pointers

# Names come from jobs. The one that was met first is forgotten for one more: it is asked for again.
_MOST_NAMES: Final = 10_000


class KnownPointers:
    """Changed by the loader alone; read by any thread."""

    def __init__(self) -> None:
        self._known: dict[str, Pointers] = {}

    def get(self, name: str) -> Pointers | None:
        """None: it was not asked for yet, or nobody has published it."""
        return self._known.get(name)

    def put(self, name: str, found: Pointers | None) -> None:
        """What the server says now. After a restore it may be older than what is known."""
        if found is None:
            self._known.pop(name, None)
            return
        self._known[name] = found
        if len(self._known) > _MOST_NAMES:
            del self._known[next(iter(self._known))]

    def names(self) -> list[str]:
        return list(self._known)


class Held:
    """Which versions of which template the cache holds: for what a change concerns. The loader's alone."""

    def __init__(self) -> None:
        self._numbers: dict[str, set[int]] = {}

    def add(self, name: str, number: int) -> None:
        self._numbers.setdefault(name, set()).add(number)

    def remove(self, name: str, number: int) -> None:
        numbers = self._numbers.get(name, set())
        numbers.discard(number)
        if not numbers:
            self._numbers.pop(name, None)

    def of(self, name: str) -> frozenset[int]:
        return frozenset(self._numbers.get(name, ()))

    def names(self) -> Collection[str]:
        return self._numbers.keys()


def current(pointers: Pointers) -> dict[int, bytes]:
    """The newest version and those that have a label: number → digest."""
    versions = [label.version for label in pointers.labels]
    if pointers.newest is not None:
        versions.append(pointers.newest)
    return {version.number: version.digest for version in versions}


def superseded(pointers: Pointers, held: Iterable[int]) -> list[int]:
    """Of what is held, the versions that a newer one has taken the place of."""
    kept = current(pointers)
    newest = pointers.newest.number if pointers.newest else 0
    return [number for number in held if number < newest and number not in kept]
