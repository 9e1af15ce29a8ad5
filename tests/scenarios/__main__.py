"""python -m scenarios [--only NAME,…]: runs scenarios on real processes, checks and draws each, and prints a table.

Exits with 1 if one failed. Each module of this package that registers a scenario is found by itself.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scenarios.plots import draw
from scenarios.scenario import Check, Result, scenarios

# All of them together, on a machine with nothing else to do.
BUDGET_SECONDS: Final = 360


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario in the table: how many of its checks were met, and what those saw that were not."""

    name: str
    seconds: float
    checks: int
    failures: tuple[str, ...]


def main() -> int:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith(("test_", "__")):
            importlib.import_module(f"scenarios.{module.name}")
    parser = argparse.ArgumentParser("python -m scenarios", description=__doc__)
    parser.add_argument("--only", metavar="NAME,…", help=f"of {', '.join(scenarios())}")
    parser.add_argument("--server", default="valkey", choices=["valkey", "redis7", "redis8"])
    parser.add_argument("--plots", type=Path, help="directory of the plots")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(scenarios())
    unknown = set(names) - set(scenarios())
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}: {', '.join(scenarios())}")
    rows = [_run(name, chosen.server, chosen.plots) for name in names]
    print("\n".join(table(rows)))
    return int(any(row.failures for row in rows))


def _run(name: str, server: str, plots: Path | None) -> Row:
    directory = Path(tempfile.mkdtemp(prefix="scenario-"))
    began = time.monotonic()
    try:
        result = scenarios()[name](directory, server)
    except Exception:  # noqa: BLE001 - one that breaks off must not keep the others from running
        traceback.print_exc()
        result = Result("broke off", [Check("it came to its end", False, f"see above; history: {directory}")], [])
    seconds = time.monotonic() - began
    print(f"{name}: {result.title} ({seconds:.0f} s)")
    for check in result.checks:
        print(f"  {'ok  ' if check.is_met else 'FAIL'}  {check.what}: {check.seen}")
    if plots is not None and result.panels:
        draw(result, plots / f"scenario-{name}.png")
    failures = tuple(f"{check.what}: {check.seen}" for check in result.checks if not check.is_met)
    if failures:
        print(f"  history: {directory}")
    else:
        shutil.rmtree(directory)
    sys.stdout.flush()
    return Row(name, seconds, len(result.checks), failures)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each scenario, with what failed below it, and the time of all."""
    width = max(len(row.name) for row in rows)
    yield ""
    for row in rows:
        met = row.checks - len(row.failures)
        yield f"{row.name:<{width}}  {row.seconds:5.0f} s  {met}/{row.checks}  {'FAILED' if row.failures else 'passed'}"
        yield from (f"{'':<{width}}    {failure}" for failure in row.failures)
    yield f"{'all':<{width}}  {sum(row.seconds for row in rows):5.0f} s  of {BUDGET_SECONDS} s"


if __name__ == "__main__":
    sys.exit(main())
