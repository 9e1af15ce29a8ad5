"""Which version of a template was the newest when: known up to the time that a publication took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Editions:
    """`published`: of version 1, 2, … when it was asked for and when that was answered, in unix seconds."""

    published: Sequence[tuple[float, float]]

    def could_be_newest(self, number: int, since: float, until: float) -> bool:
        """At some moment between these two, both included."""
        asked, _ = self.published[number - 1]
        return asked <= until and self.superseded_seconds(number, since) == 0

    def superseded_seconds(self, number: int, at: float) -> float:
        """For so long a newer one had been there for certain."""
        if number >= len(self.published):
            return 0.0
        _, answered = self.published[number]
        return max(0.0, at - answered)

    def newest(self, at: float) -> int:
        """The last one that was answered by then; 0: none."""
        return sum(answered <= at for _, answered in self.published)
