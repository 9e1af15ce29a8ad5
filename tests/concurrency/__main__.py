"""Concurrency limits in simulated worlds: a table of goodput against the best fixed limit, and plots.

make concurrency
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from concurrency import plots
from concurrency.model import History
from concurrency.scenarios import FIXED_LIMITS, LONG, MOST, SCENARIOS, Scenario, Score, best_fixed, scores
from tidemill_consumers.concurrency import make_limiter
from tidemill_consumers.concurrency.limiter import FixedLimit

ADAPTIVE: Final = ("gradient", "gradient2", "windowed")
# Shown beside them: what a worker has without being told, and the upper bound of the adaptive ones.
FIXED: Final = (20, MOST)
DRAWN: Final = ("load step", "10x slower", "10x latency")
BEGIN: Final = "<!-- table: begin (written by make concurrency) -->"
END: Final = "<!-- table: end -->"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m concurrency", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="histories of each algorithm in each scenario")
    parser.add_argument("--markdown", type=Path, help="write the table into this page")
    parser.add_argument("--plots", type=Path, help="draw into this directory")
    chosen = parser.parse_args()
    seeds = range(1, chosen.seeds + 1)
    lines: list[str] = []
    for line in table(seeds):
        lines.append(line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if chosen.markdown is not None:
        _write(chosen.markdown, lines)
    if chosen.plots is not None:
        for scenario in SCENARIOS:
            if scenario.name in DRAWN:
                plots.draw(scenario, _histories(scenario), chosen.plots)


def table(seeds: Sequence[int]) -> Iterator[str]:
    """Line by line, as a table of a page."""
    yield _row("scenario", "part", "best fixed", *ADAPTIVE, *(f"fixed {limit}" for limit in FIXED))
    yield _row(*["---"] * (3 + len(ADAPTIVE) + len(FIXED)))
    for scenario in (*SCENARIOS, LONG):
        best = best_fixed(scenario, seeds[:1], FIXED_LIMITS)
        found = [scores(scenario, algorithm, seeds) for algorithm in (*ADAPTIVE, *FIXED)]
        for side, (limit, fixed) in enumerate(best):
            part = "{:.0f} to {:.0f} s".format(*scenario.sides[side])
            first = f"{limit}: {fixed.goodput:.0f}/s, {_milliseconds(fixed)}"
            yield _row(scenario.name, part, first, *(_cell(of_one[side], fixed) for of_one in found))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(score: Score, fixed: Score) -> str:
    return f"{100 * score.goodput / fixed.goodput:.0f} %, {_milliseconds(score)}"


def _milliseconds(score: Score) -> str:
    return f"{1000 * score.p99_seconds:.0f} ms" if score.p99_seconds < float("inf") else "none"


def _histories(scenario: Scenario) -> dict[str, History]:
    found = {algorithm: scenario.play(make_limiter(algorithm, MOST), 1) for algorithm in ADAPTIVE}
    limit = best_fixed(scenario, (1,))[0][0]
    return {**found, f"fixed {limit}": scenario.play(FixedLimit(limit), 1)}


def _write(page: Path, lines: Sequence[str]) -> None:
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
