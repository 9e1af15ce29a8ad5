"""A measured figure, beside its goal, its limit and its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is to reach, in words, and whether it does."""

    text: str
    is_met: bool


def at_least(ours: float, value: float) -> Goal:
    return Goal(f"≥ {value:,g}", ours >= value)


def at_most(ours: float, value: float) -> Goal:
    return Goal(f"≤ {value:,g}", ours <= value)


def share_of_limit(ours: float, limit: float, share: float) -> Goal:
    """A rate that is at least this share of what the bare program reaches."""
    return Goal(f"≥ {share:g} of the limit", ours >= share * limit)


def times_best_peer(ours: float, peers: Mapping[str, float], times: float) -> list[Goal]:
    """A rate that is so many times that of the best peer; nothing when no peer was measured."""
    return [Goal(f"≥ {times:g} times the best peer", ours >= times * max(peers.values()))] if peers else []


def no_peer_below(ours: float, peers: Mapping[str, float]) -> list[Goal]:
    """A time or a size that no peer undercuts; nothing when no peer was measured."""
    return [Goal("no peer better", ours <= min(peers.values()))] if peers else []


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    runs: what each run that counts gave; `ours` is their median. limit: what the bare redis-py program that sends the
    same commands reached in the same run. note: what a reader has to know to read it right.
    """

    name: str
    unit: str
    ours: float
    goals: tuple[Goal, ...] = ()
    limit: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict[str, float])
    runs: tuple[float, ...] = ()
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours divided by the limit."""
        return self.ours / self.limit if self.limit else None

    @property
    def is_met(self) -> bool | None:
        """None: it has no goal."""
        return all(goal.is_met for goal in self.goals) if self.goals else None


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines of a plot, by name: points of x and y. Both axes are logarithmic."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A measurement that gave no figures, and why."""

    name: str
    reason: str


Result = Figure | Plot | Failure
