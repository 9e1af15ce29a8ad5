"""What a scenario is: real processes under a load, checks of what came of it, and lines for a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Check:
    """What was to be, whether it was, and what was seen."""

    what: str
    is_met: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over the same seconds."""

    y: str
    lines: Mapping[str, Points]


@dataclass(frozen=True, slots=True)
class Result:
    title: str
    checks: list[Check]
    panels: list[Panel]


Scenario = Callable[[Path, str], Result]
"""Given an empty directory and the flavour of the server."""

_registry: Final[dict[str, Scenario]] = {}


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    """Registers a scenario."""

    def register(function: Scenario) -> Scenario:
        _registry[name] = function
        return function

    return register


def scenarios() -> Mapping[str, Scenario]:
    return _registry


def share(found: float, wanted: float, least: float, what: str) -> Check:
    """At least this share of what was wanted."""
    return Check(f"{what} ≥ {least:.0%}", found >= least * wanted, f"{found / wanted:.0%}")
