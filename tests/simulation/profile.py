"""How often something goes wrong in a simulated world."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How rough a world is. A calm one shows what happens without faults."""

    faults: float
    losses: float

    @classmethod
    def of(cls, chance: random.Random) -> Profile:
        if chance.random() < 0.1:
            return cls(0.0, 0.0)
        return cls(chance.choice((0.03, 0.06, 0.1)), chance.choice((0.02, 0.06, 0.15)))
