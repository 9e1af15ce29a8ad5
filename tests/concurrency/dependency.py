"""What jobs need, as a model: how long they take, depending on how many run and on the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """Until `end`, in seconds of the simulation, everything takes `factor` times as long, beyond `knee` at a time."""

    end: float
    factor: float = 1.0
    knee: float = math.inf


@dataclass(frozen=True, slots=True)
class Dependency:
    """Shared by all jobs that run: up to the knee they do not notice each other; beyond it they share its capacity; and
    with `collapse` each one beyond the knee costs the capacity a part, as locks and caches of a database do.

    Args:
        seconds: of work in a job, in the mean.
        spread: sigma of the lognormal distribution of that work; 0: all the same.
    """

    seconds: float
    phases: Sequence[Phase]
    collapse: float = 0.0
    spread: float = 0.5

    def phase(self, now: float) -> Phase:
        """The one that `now` is in."""
        return next((phase for phase in self.phases if now < phase.end), self.phases[-1])

    def slowdown(self, phase: Phase, running: int) -> float:
        """How many times as long a job takes as on its own."""
        beyond = max(0.0, running - phase.knee)
        return phase.factor * max(1.0, running / phase.knee) * (1 + self.collapse * beyond)
