"""The rule against starvation among priorities.

A worker takes `high` before `normal` before `low`; but of the slots that it fills, one in five is offered to `normal`
first, and one in twenty to `low`. So under a flood of `high` jobs the others still move, at a fifth and a twentieth of
the speed, and an offer that a lane can't use falls through to the others: nothing idles.
"""

from __future__ import annotations

from typing import Final

NORMAL_IN: Final = 5
LOW_IN: Final = 20


class Reserves:
    """Counts slots, and says how many of the next ones are reserved."""

    def __init__(self) -> None:
        self._normal = 0
        self._low = 0

    def next(self, slots: int) -> tuple[int, int]:
        """(for low, for normal) of the next `slots` slots."""
        self._low += slots
        self._normal += slots
        low, self._low = divmod(self._low, LOW_IN)
        normal, self._normal = divmod(self._normal, NORMAL_IN)
        return low, normal
