"""The command line: `python -m simulation --seeds 2000`, or `--seed 7` to see one; with tests/ on the path.

It ends with 1 when an invariant was broken, and says with which seed.
"""

from __future__ import annotations

import argparse
import sys
import time

from simulation.campaign import Outcome, run


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one, and show its history")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--counters", action="store_true", help="show how often each branch was reached")
    parser.add_argument("--most-violations", type=int, default=5, help="each process ends after so many")
    options = parser.parse_args()
    began = time.monotonic()
    if options.seed is not None:
        outcome = run([options.seed], 1, options.most_violations)
    else:
        outcome = run(range(options.first, options.first + options.seeds), options.processes, options.most_violations)
    seconds = time.monotonic() - began
    print(f"{outcome.seeds} seeds, {outcome.steps} steps in {seconds:.1f} s: {len(outcome.violations)} violations")
    if options.counters:
        print("\n".join(f"{count:8} {name}" for name, count in sorted(outcome.sometimes.items())))
    _show(outcome)
    return int(bool(outcome.violations))


def _show(outcome: Outcome) -> None:
    """The history of the first violation, and the seeds of all."""
    for seed, (violation, history) in sorted(outcome.violations.items())[:1]:
        print("\n".join(history))
        print(f"VIOLATION: {violation}\nreplay: PYTHONPATH=tests python -m simulation --seed {seed}")
    for seed, (violation, _) in sorted(outcome.violations.items()):
        print(f"seed {seed}: {violation}")


if __name__ == "__main__":
    sys.exit(main())
