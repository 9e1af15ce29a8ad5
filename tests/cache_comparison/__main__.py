"""The cache beside other policies: tables and plots of hit ratios, what operations cost, bytes for an entry.

make cache
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cache.traces import TRACES
from cache_comparison import operations, plots
from cache_comparison.comparison import Row, compare, generated, sizes_below, summary, table
from cache_comparison.policies import POLICIES, Policy, from_module
from cache_comparison.recordings import RECORDINGS

DRAWN_RECORDINGS: Final = ("web07", "oltp", "multi2", "cpp", "sprite", "gli")
DRAWN_TRACES: Final = ("shifting", "bursts", "object_mapper", "blocks", "code_search", "day_and_night")
DRAWN_SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
"""Sizes of the plots: shares of all different keys."""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m cache_comparison", description=__doc__)
    parser.add_argument("--traces", type=Path, help="directory of recorded accesses: see recordings.py")
    parser.add_argument("--reference", type=Path, help="a Python file with more policies to compare with")
    parser.add_argument("--markdown", type=Path, help="write the tables into this page")
    parser.add_argument("--plots", type=Path, help="draw into this directory")
    chosen = parser.parse_args()
    policies = {**POLICIES, **(from_module(chosen.reference) if chosen.reference else {})}
    page = _Page(chosen.markdown)
    page.part("operations", operations.table())
    keys = {name: generated(name) for name in TRACES}
    page.compared("generated", _rows(policies, {name: (keys[name], sizes_below(keys[name])) for name in TRACES}))
    if chosen.plots:
        _draw({name: keys[name] for name in DRAWN_TRACES}, chosen.plots / "cache-generated.png")
    if chosen.traces:
        recorded = {recording: recording.read(chosen.traces) for recording in RECORDINGS}
        of_recordings = {recording.name: (found, recording.sizes) for recording, found in recorded.items()}
        page.compared("recorded", _rows(policies, of_recordings))
        if chosen.plots:
            drawn = {name: of_recordings[name][0] for name in DRAWN_RECORDINGS}
            _draw(drawn, chosen.plots / "cache-recorded.png")


def _rows(policies: Mapping[str, Policy], traces: Mapping[str, tuple[list[int], Sequence[int]]]) -> list[Row]:
    return [row for name, (keys, sizes) in traces.items() for row in compare(name, keys, sizes, policies)]


def _draw(traces: Mapping[str, list[int]], path: Path) -> None:
    shown = {name: POLICIES[name] for name in ("LRU", "LFU", "W-TinyLFU", "Tidemill", "OPT")}
    found: dict[str, list[Row]] = {}
    for name, keys in traces.items():
        sizes = [max(10, round(share * len(set(keys)))) for share in DRAWN_SHARES]
        found[name] = list(compare(name, keys, sizes, shown))
    plots.draw(found, path)


class _Page:
    """Parts between `<!-- name: begin … -->` and `<!-- name: end -->`, which are also printed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def compared(self, name: str, rows: Sequence[Row]) -> None:
        self.part(name, [*table(rows), "", *summary(rows)])

    def part(self, name: str, lines: Iterable[str]) -> None:
        text = "\n".join(lines)
        print(f"\n{name}\n\n{text}", flush=True)
        if self._path is not None:
            begin, end = f"<!-- {name}: begin (written by make cache) -->", f"<!-- {name}: end -->"
            before, _, rest = self._path.read_text(encoding="utf-8").partition(begin)
            after = rest.partition(end)[2]
            self._path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
