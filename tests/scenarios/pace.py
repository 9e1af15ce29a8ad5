"""How soon a worker does as much as it always does: its jobs in slices of 100 ms, from its first one on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

SLICE_SECONDS: Final = 0.1
# A slice has few jobs, and which slice one falls into is chance: so many slices are looked at together.
WINDOW_SLICES: Final = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """`counts`: jobs started in each slice; `steady`: the median of the slices from `steady_from` seconds on,
    so that a moment in which the machine was away changes nothing."""

    counts: Sequence[int]
    steady_from: float

    @property
    def steady(self) -> float:
        return median(self.counts[round(self.steady_from / SLICE_SECONDS) :])

    def reached_after(self, share: float) -> float:
        """Seconds from the first job to the end of the first window that has this share of the steady pace."""
        for end in range(WINDOW_SLICES, len(self.counts) + 1):
            if fmean(self.counts[end - WINDOW_SLICES : end]) >= share * self.steady:
                return end * SLICE_SECONDS
        return float("inf")

    def share_within(self, seconds: float) -> float:
        """Of what the steady pace would have done in the first seconds, how much was done."""
        return fmean(self.counts[: round(seconds / SLICE_SECONDS)]) / self.steady


def pace_of(starts: Sequence[float], seconds: float, steady_from: float) -> Pace:
    """`starts`: of jobs, in seconds, in any order; those more than `seconds` after the first one do not count."""
    first, counts = min(starts), [0] * round(seconds / SLICE_SECONDS)
    for start in starts:
        place = int((start - first) / SLICE_SECONDS)
        if place < len(counts):
            counts[place] += 1
    return Pace(counts, steady_from)
