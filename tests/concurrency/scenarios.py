"""The worlds in which algorithms are compared, and the comparison."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from concurrency import arrivals
from concurrency.arrivals import Rate
from concurrency.dependency import Dependency, Phase
from concurrency.model import History, Simulation
from tidemill_consumers.concurrency import make_limiter
from tidemill_consumers.concurrency.limiter import FixedLimit, Limiter

MOST: Final = 200
SECONDS: Final = 90.0
# The steps: what is different lasts from here to there.
STEP_START, STEP_END = 30.0, 60.0
# At first every algorithm looks for its limit.
WARM_UP: Final = 10.0
# Fixed limits among which the best is looked for.
FIXED_LIMITS: Final = (4, 8, 12, 16, 20, 24, 28, 32, 40, 50, 64, 100, 200)
_WORK: Final = 0.05
# Of jobs that wait for something without limits: there is nothing to see but the upper bound, so few of them suffice.
_WAIT: Final = 0.2
_KNEE: Final = 30.0
_CAPACITY: Final = _KNEE / _WORK
_ROOM: Final = 1_000
_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """`sides`: parts of the time that are judged each by itself, as (start, end)."""

    name: str
    about: str
    rate: Rate
    most_rate: float
    dependency: Dependency
    sides: Sequence[tuple[float, float]] = ((WARM_UP, SECONDS),)
    seconds: float = SECONDS

    def play(self, limiter: Limiter, seed: int) -> History:
        """One history."""
        coming = arrivals.poisson(self.rate, self.most_rate, self.seconds, random.Random(f"arrivals {seed}"))
        return Simulation(self.dependency, limiter, seed, _TIMEOUT, _ROOM).run(coming, self.seconds)


_SIDES: Final = ((WARM_UP, STEP_START), (STEP_START, STEP_END), (STEP_END, SECONDS))


def _phases(usual: Phase, middle: Phase) -> tuple[Phase, ...]:
    return (
        Phase(STEP_START, usual.factor, usual.knee),
        Phase(STEP_END, middle.factor, middle.knee),
        Phase(math.inf, usual.factor, usual.knee),
    )


_FREE: Final = Dependency(_WAIT, (Phase(math.inf),))
_SATURATED: Final = Dependency(_WORK, (Phase(math.inf, knee=_KNEE),), collapse=0.02)
_ENDLESS: Final = Phase(0, 1.0)
_LIMITED: Final = Phase(0, 1.0, _KNEE)

SCENARIOS: Final = (
    Scenario(
        "free", "jobs do not slow each other down", arrivals.constant(1.2 * MOST / _WAIT), 1.2 * MOST / _WAIT, _FREE
    ),
    Scenario("saturated", "2x what a database can do", arrivals.constant(2 * _CAPACITY), 2 * _CAPACITY, _SATURATED),
    Scenario("light", "half of what it can do", arrivals.constant(_CAPACITY / 2), _CAPACITY / 2, _SATURATED),
    Scenario(
        "bursts",
        "3x what it can do for 2 s, a fifth for 4 s",
        arrivals.bursts(3 * _CAPACITY, _CAPACITY / 5, 2, 4),
        3 * _CAPACITY,
        _SATURATED,
    ),
    Scenario(
        "load step",
        "half of what it can do, 2x for 30 s",
        arrivals.step(_CAPACITY / 2, 2 * _CAPACITY, STEP_START, STEP_END),
        2 * _CAPACITY,
        _SATURATED,
        _SIDES,
    ),
    Scenario(
        "10x slower",
        "a saturated database takes ten times as long for 30 s",
        arrivals.constant(2 * _CAPACITY),
        2 * _CAPACITY,
        Dependency(_WORK, _phases(_LIMITED, Phase(0, 10.0, _KNEE)), collapse=0.02),
        _SIDES,
    ),
    Scenario(
        "10x latency",
        "what does not saturate takes ten times as long for 30 s",
        arrivals.constant(1.2 * MOST / _WAIT),
        1.2 * MOST / _WAIT,
        Dependency(_WAIT, _phases(_ENDLESS, Phase(0, 10.0))),
        _SIDES,
    ),
    Scenario(
        "fewer at once",
        "a database that does 30 at once does 8 for 30 s",
        arrivals.constant(2 * _CAPACITY),
        2 * _CAPACITY,
        Dependency(_WORK, _phases(_LIMITED, Phase(0, 1.0, 8.0)), collapse=0.02),
        _SIDES,
    ),
)

# What a baseline that is a mean of what was measured under load comes to. Too long for the test suite.
LONG: Final = Scenario(
    "saturated for long",
    "a tenth more than a database can do, for 15 minutes",
    arrivals.constant(1.1 * _CAPACITY),
    1.1 * _CAPACITY,
    _SATURATED,
    ((WARM_UP, 100.0), (800.0, 900.0)),
    900.0,
)


@dataclass(frozen=True, slots=True)
class Score:
    """Of one side of a scenario, in the mean of the seeds."""

    goodput: float
    p99_seconds: float


Scores = Sequence[Score]  # a score for each side


def scores(scenario: Scenario, algorithm: str | int, seeds: Sequence[int]) -> Scores:
    """`algorithm`: a name, or a fixed limit."""
    histories = [scenario.play(_limiter(algorithm), seed) for seed in seeds]
    return [
        Score(
            sum(history.goodput(*side) for history in histories) / len(seeds),
            sum(history.p99_seconds(*side) for history in histories) / len(seeds),
        )
        for side in scenario.sides
    ]


def _limiter(algorithm: str | int) -> Limiter:
    return FixedLimit(algorithm) if isinstance(algorithm, int) else make_limiter(algorithm, MOST)


def best_fixed(
    scenario: Scenario, seeds: Sequence[int], limits: Sequence[int] = FIXED_LIMITS
) -> Sequence[tuple[int, Score]]:
    """For each side by itself, the fixed limit with the most goodput; of those within 1 %, the lowest."""
    found: Mapping[int, Scores] = {limit: scores(scenario, limit, seeds) for limit in limits}
    best: list[tuple[int, Score]] = []
    for side in range(len(scenario.sides)):
        most = max(of_limit[side].goodput for of_limit in found.values())
        best.append(next((limit, s[side]) for limit, s in found.items() if s[side].goodput >= 0.99 * most))
    return best
