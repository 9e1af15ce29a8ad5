"""python -m scenarios [NAME …]: runs scenarios on real processes, checks and draws them; exits with 1 if one failed."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from scenarios.plots import draw
from scenarios.scenario import scenarios

MODULES = ("overload", "greedy_tenant")


def main() -> int:
    for module in MODULES:
        importlib.import_module(f"scenarios.{module}")
    parser = argparse.ArgumentParser("python -m scenarios", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*scenarios(), []], metavar="NAME", help=", ".join(scenarios()))
    parser.add_argument("--server", default="valkey", choices=["valkey", "redis7", "redis8"])
    parser.add_argument("--plots", type=Path, help="directory of the plots")
    chosen = parser.parse_args()
    failed = [name for name in chosen.names or scenarios() if not _is_passed(name, chosen.server, chosen.plots)]
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return int(bool(failed))


def _is_passed(name: str, server: str, plots: Path | None) -> bool:
    directory = Path(tempfile.mkdtemp(prefix="scenario-"))
    began = time.monotonic()
    result = scenarios()[name](directory, server)
    print(f"{name}: {result.title} ({time.monotonic() - began:.0f} s)")
    for check in result.checks:
        print(f"  {'ok  ' if check.is_met else 'FAIL'}  {check.what}: {check.seen}")
    if plots is not None:
        draw(result, plots / f"scenario-{name}.png")
    is_passed = all(check.is_met for check in result.checks)
    if is_passed:
        shutil.rmtree(directory)
    else:
        print(f"  history: {directory}")
    return is_passed


if __name__ == "__main__":
    sys.exit(main())
