"""python tests/chaos/run.py --seconds 60 --seed 1: disturbs a fleet at work, and checks that nothing was lost.

Prints the figures; exits with 1 when something was violated, and then keeps the history and says where it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from chaos import drain, figures
    from chaos.session import Plan, Session

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", default="valkey", choices=["valkey", "redis7", "redis8", "cluster"])
    parser.add_argument("--lease", type=float, default=2.0, help="of the workers, in seconds")
    parser.add_argument("--jobs", type=int, default=0, help="drain so many jobs instead, and compare the memory")
    parser.add_argument("--keep", action="store_true", help="keep the history in any case")
    chosen = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    plan = Plan(chosen.seconds, chosen.seed, directory, chosen.server, chosen.lease)
    if chosen.jobs:
        drained = drain.drain(plan, chosen.jobs)
        lines, is_wrong = list(drained.report()), bool(drained.wrong())
    else:
        outcome = Session(plan).run()
        lines, is_wrong = list(figures.report(outcome)), bool(outcome.violations or outcome.remarks)
    print("\n".join(lines))
    if is_wrong or chosen.keep:
        print(f"history           {directory}")
    else:
        shutil.rmtree(directory)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
