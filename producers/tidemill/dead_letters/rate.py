"""How many letters a second are run again."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from tidemill.dead_letters import settings
from tidemill.errors import InvalidInput

_TEXT: Final = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
_SECONDS: Final = {None: 1, "s": 1, "m": 60, "h": 3_600}


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second`: jobs."""

    per_second: float

    @property
    def jobs_at_once(self) -> int:
        """How many go in one call: few, so that they come evenly."""
        return max(1, min(settings.PAGE_LETTERS, int(self.per_second * settings.CALL_EVERY_SECONDS)))

    def seconds_for(self, jobs: int) -> float:
        """How long so many jobs are to take."""
        return jobs / self.per_second


def rate_of(value: object) -> Rate:
    """50, "50/s", "600/m" or "1000/h". Raises InvalidInput."""
    per_second = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        per_second = float(value)
    elif isinstance(value, str) and (found := _TEXT.fullmatch(value)):
        per_second = float(found[1]) / _SECONDS[found[2]]
    if 0 < per_second <= settings.MAX_RATE:
        return Rate(per_second)
    raise InvalidInput(
        f"rate {value!r} is not valid: jobs a second above 0 and up to {settings.MAX_RATE:,.0f}, as a number or as "
        "'50/s', '600/m' or '1000/h'"
    )
