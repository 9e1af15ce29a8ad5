"""python -m benchmarks [--quick] [--only NAME …]: measures, prints a table, and writes JSON.

See docs/performance.md for the method.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from benchmarks.bench import Bench, Measurement, measurements
from benchmarks.figure import Failure, Result
from benchmarks.report import Report
from benchmarks.system import PEERS, is_installed

# In the order in which they are measured.
MODULES = (
    "machine",
    "imports",
    "memory",
    "enqueue",
    "drain",
    "cpu",
    "latency",
    "stages",
    "delayed",
    "growth",
    "templates",
    "tracing",
    "mixed",
    "idle",
)


def main() -> int:
    chosen = _arguments()
    # So that servers and workers are ended when `timeout` or a service manager ends this.
    signal.signal(signal.SIGTERM, _end)
    for module in MODULES:
        importlib.import_module(f"benchmarks.measurements.{module}")
    peers = tuple(name for name in PEERS if is_installed(name) and not chosen.no_peers)
    bench = Bench(chosen.quick, chosen.server, peers)
    results = list(_results(bench, measurements(chosen.only)))
    report = Report.of(bench, results)
    print(report.table())
    chosen.output.mkdir(parents=True, exist_ok=True)
    (chosen.output / "benchmarks.json").write_text(report.json(), encoding="utf-8")
    if chosen.plots:
        from benchmarks.plots import draw

        draw(results, chosen.plots)
    if chosen.markdown:
        report.replace_in(chosen.markdown)
    return int(any(isinstance(result, Failure) for result in results))


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def _results(bench: Bench, chosen: Iterable[tuple[str, Measurement]]) -> Iterable[Result]:
    for name, measure in chosen:
        began = time.monotonic()
        try:
            yield from measure(bench)
        except Exception as error:  # noqa: BLE001 - the other measurements are made all the same
            bench.say(f"{name} failed: {error!r}")
            yield Failure(name, f"{type(error).__name__}: {error}")
        print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small counts: shows that everything runs, within a minute"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one measurement; repeat for more")
    parser.add_argument("--server", default="valkey", choices=["valkey", "redis7", "redis8"])
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(".bench"), help="directory of benchmarks.json")
    parser.add_argument("--plots", type=Path, help="directory of the plots (needs matplotlib)")
    parser.add_argument("--markdown", type=Path, help="file whose marked block is replaced by the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
