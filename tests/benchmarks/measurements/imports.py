"""How long an import takes, beyond the interpreter's own start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.bench import Bench, measurement
from benchmarks.figure import Figure, Goal


def import_ms(program: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (time.perf_counter() - began) * 1000


@measurement("imports")
def imports(bench: Bench) -> Iterator[Figure]:
    programs = {"tidemill": "import tidemill", "redis": "import redis", "nothing": "pass"}
    runs: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(bench.size(9, 2)):
        for name, program in programs.items():
            runs[name].append(import_ms(program))
    start = median(runs["nothing"])
    ours, limit = median(runs["tidemill"]) - start, median(runs["redis"]) - start
    goal = Goal("≤ 1.5 times the limit", ours <= 1.5 * limit)
    yield Figure("import tidemill", "ms", ours, (goal,), limit, note="limit: import redis")
