"""Concurrency limits: how many jobs a worker runs at once, fixed or following measured response times.

`limiter.py` has what an algorithm is; one file each has an algorithm: `gradient`, `gradient2`, `windowed`.
docs/concurrency.md compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidemill.errors import InvalidInput
from tidemill_consumers.concurrency.gradient import GradientLimit
from tidemill_consumers.concurrency.gradient2 import Gradient2Limit
from tidemill_consumers.concurrency.limiter import FixedLimit, Limiter
from tidemill_consumers.concurrency.windowed import WindowedLimit

FIXED: Final = "fixed"
ALGORITHMS: Final[Mapping[str, Callable[[int], Limiter]]] = {
    FIXED: FixedLimit,
    "gradient": GradientLimit,
    "gradient2": Gradient2Limit,
    "windowed": WindowedLimit,
}


def make_limiter(algorithm: str, most: int) -> Limiter:
    """The algorithm of this name, with `most` as the upper bound of its limit.

    Raises InvalidInput for a name that there is not, a bound below 1, and a library that is not installed.
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InvalidInput(f"concurrency limiter {algorithm!r} does not exist: one of {known}")
    if most < 1:
        raise InvalidInput(f"concurrency {most} is too low: at least one job must be able to run")
    return ALGORITHMS[algorithm](most)
