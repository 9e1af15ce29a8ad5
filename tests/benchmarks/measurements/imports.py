"""How long an import takes, beyond the interpreter's own start.

Of byte code, as installed packages have it: a setting that forbids writing any would have the library compiled from its
sources each time, beside the compiled ones of redis-py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.bench import Bench, measurement
from benchmarks.figure import Figure, Goal


def import_ms(program: str, byte_code: str) -> float:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": byte_code, "PYTHONDONTWRITEBYTECODE": ""}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    return (time.perf_counter() - began) * 1000


@measurement("imports")
def imports(bench: Bench) -> Iterator[Figure]:
    programs = {"tidemill": "import tidemill", "redis": "import redis", "nothing": "pass"}
    runs: dict[str, list[float]] = {name: [] for name in programs}
    with TemporaryDirectory() as byte_code:
        for program in programs.values():
            import_ms(program, byte_code)  # it is written
        for _ in range(bench.size(9, 2)):
            for name, program in programs.items():
                runs[name].append(import_ms(program, byte_code))
    start = median(runs["nothing"])
    ours, limit = median(runs["tidemill"]) - start, median(runs["redis"]) - start
    goal = Goal("≤ 1.5 times the limit", ours <= 1.5 * limit)
    yield Figure("import tidemill", "ms", ours, (goal,), limit, note="limit: import redis")
