"""`import tidemill` is light: apps import it at their start, also those that rarely enqueue."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("redis", "rq", "opentelemetry.sdk", "tidemill_consumers", "tidemill_scheduler", "croniter", "msgpack.fallback")
# An import is measured as the fastest of this many processes: the noise of a machine only makes it slower.
RUNS = 5

_MEASURE = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def seconds(module: str) -> float:
    """Of the processor: what others do meanwhile does not count."""
    return float(python(_MEASURE.format(module)))


def test_an_import_takes_at_most_twice_that_of_redis() -> None:
    seconds("tidemill")  # its byte code is written
    ours, theirs = (
        min(both) for both in zip(*((seconds("tidemill"), seconds("redis")) for _ in range(RUNS)), strict=True)
    )
    assert ours <= 2 * theirs, f"import tidemill: {ours * 1000:.0f} ms, import redis: {theirs * 1000:.0f} ms"


def test_an_import_loads_nothing_heavy() -> None:
    loaded = python("import sys, tidemill; print(*sys.modules)").split()
    assert [name for name in HEAVY if name in loaded] == []


def test_registering_and_declaring_need_no_driver() -> None:
    code = """
import sys
from datetime import timedelta
from tidemill import Tidemill
mill = Tidemill("redis://nowhere.invalid")
@mill.task()
def work(number: int) -> int: return number
work.using(queue="slow", delay=5)
assert work(1) == 1
print(*sys.modules)
"""
    assert not {"redis", "rq", "opentelemetry.sdk"} & set(python(code).split())
