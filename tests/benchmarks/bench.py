"""The registry of measurements, and what each is given."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.figure import Figure, Plot
from benchmarks.verification import DoesNotCount

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bench:
    """How much is to be measured, on which kind of server, beside which peers; and what was said, how long it took."""

    is_quick: bool = False
    flavour: str = "valkey"
    peers: tuple[str, ...] = ()
    messages: list[str] = field(default_factory=list[str])
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def size(self, full: T, quick: T) -> T:
        """The value for this kind of run."""
        return quick if self.is_quick else full

    def counted(self, run: Callable[[], T], *, tries: int = 2) -> T:
        """The first run that counts; raises the last one's DoesNotCount."""
        for left in reversed(range(tries)):
            try:
                return run()
            except DoesNotCount as error:
                self.say(f"does not count: {error}")
                if not left:
                    raise
        raise ValueError("no tries")

    def of_peers(self, measure: Callable[[str], T], names: Iterable[str] | None = None) -> dict[str, T]:
        """What each peer reaches; one that can't be measured is left out, and the reason said."""
        found: dict[str, T] = {}
        for name in self.peers if names is None else names:
            try:
                found[name] = measure(name)
            except DoesNotCount as error:
                self.say(f"{name} is left out: {error}")
        return found

    def say(self, text: str) -> None:
        """Says what is going on, and keeps it for the report."""
        text = " ".join(text.split())
        self.messages.append(text)
        print(f"  {text}", file=sys.stderr, flush=True)


Measurement = Callable[[Bench], Iterable[Figure | Plot]]
_registry: dict[str, Measurement] = {}


def measurement(name: str) -> Callable[[Measurement], Measurement]:
    """Registers a function that measures."""

    def register(function: Measurement) -> Measurement:
        _registry[name] = function
        return function

    return register


def measurements(chosen: Iterable[str] = ()) -> Iterator[tuple[str, Measurement]]:
    """Those of these names, or all, in the order of their registration. Raises KeyError for an unknown name."""
    for name in list(chosen) or list(_registry):
        yield name, _registry[name]
