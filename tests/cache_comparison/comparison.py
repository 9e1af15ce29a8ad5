"""Hit ratios of policies on traces, as rows of a table, and what they are to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Final

from cache.traces import TRACES
from cache_comparison.policies import OPTIMUM, OURS, Policy

GENERATED_LENGTH: Final = 100_000
GENERATED_SIZES: Final = (50, 200, 500, 1000, 2000)
SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """Hit ratios by policy, from 0 to 1. `ours` has them too."""

    trace: str
    size: int
    ratios: Mapping[str, float]

    @property
    def ours(self) -> float:
        return self.ratios[OURS]

    @property
    def best(self) -> tuple[str, float]:
        """Of the others that do not know the future."""
        others = {name: ratio for name, ratio in self.ratios.items() if name not in {OURS, OPTIMUM}}
        return max(others.items(), key=lambda one: one[1])

    @property
    def is_low(self) -> bool:
        """More than a point below the better of LRU and LFU."""
        return self.ours < max(self.ratios["LRU"], self.ratios["LFU"]) - 0.01


def compare(trace: str, keys: Sequence[int], sizes: Sequence[int], policies: Mapping[str, Policy]) -> Iterator[Row]:
    for size in sizes:
        yield Row(trace, size, {name: policy(keys, size) / len(keys) for name, policy in policies.items()})


def generated(name: str, length: int = GENERATED_LENGTH) -> list[int]:
    """The keys of a trace that is made by rule, numbered from 0 in the order of their first use."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in TRACES[name](Random(SEED), length)]


def sizes_below(keys: Sequence[int]) -> list[int]:
    """Where all keys have room there is nothing to compare."""
    different = len(set(keys))
    return [size for size in GENERATED_SIZES if size < different]


def means(rows: Sequence[Row]) -> dict[str, float]:
    return {name: fmean(row.ratios[name] for row in rows) for name in rows[0].ratios}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Of a page. In bold: ours where no other is better."""
    columns = ["LRU", "LFU", "simple rule", "W-TinyLFU"]
    yield _line("trace", "entries", *columns, "best of the others", OURS, OPTIMUM)
    yield _line("---", "---:", *["---:"] * len(columns), "---", "---:", "---:")
    for row in rows:
        name, best = row.best
        ours = f"**{_percent(row.ours)}**" if row.ours >= best else _percent(row.ours)
        shown = [_percent(row.ratios[column]) for column in columns]
        yield _line(row.trace, str(row.size), *shown, f"{_percent(best)} {name}", ours, _percent(row.ratios[OPTIMUM]))
    found = means(rows)
    name, best = max(
        ((name, mean) for name, mean in found.items() if name not in {OURS, OPTIMUM}), key=lambda one: one[1]
    )
    shown = [_percent(found[column]) for column in columns]
    yield _line("mean", "", *shown, f"{_percent(best)} {name}", _percent(found[OURS]), _percent(found[OPTIMUM]))


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each thing that is asked of it."""
    low = [f"{row.trace} {row.size}" for row in rows if row.is_low]
    told = f" ({', '.join(low)})" if low else ""
    yield f"- More than a point below the better of LRU and LFU: {len(low)} of {len(rows)} rows{told}."
    below = sum(row.ours < row.ratios["LRU"] / 2 for row in rows)
    yield f"- Below half of LRU: {below or 'none'} of them."
    found = sorted(means(rows).items(), key=lambda one: one[1], reverse=True)
    listed = ", ".join(f"{name} {_percent(mean)}" for name, mean in found)
    yield f"- Means over all rows: {listed}."


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.1f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
