"""`import tidemill` is light: apps import it at their start, also those that rarely enqueue."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

HEAVY = (
    *("redis", "rq", "opentelemetry", "tidemill_consumers", "tidemill_scheduler", "croniter", "click", "pybreaker"),
    *("msgpack.fallback", "asyncio", "email", "importlib.metadata", "socket", "ssl", "zipfile", "zoneinfo"),
)
# What not every program has a use for.
OWN = (
    *("breakers", "dead_letters", "doctor", "inspection", "job_inspection", "tenant_inspection", "limit_figures"),
    *("recurring", "schedule", "cron", "cron_expression", "retry_calls", "retry_after", "waiter"),
    *("connection", "embedded", "commands", "demo", "loading", "lifecycle"),
)
# The part of `Tidemill` that declares templates; the rest of that package is for those who do.
DECLARING = "tidemill.templates.declaring"
# An import is measured as the fastest of this many processes: the noise of a machine only makes it slower.
RUNS = 5

_MEASURE = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
_BEFORE = "import sys; before = set(sys.modules); import tidemill\n"
_DECLARING = """
mill = tidemill.Tidemill("redis://nowhere.invalid")
@mill.task()
def work(number: int) -> int: return number
work.using(queue="slow", delay=5)
assert work(1) == 1
mill.close()
"""
_AFTER = "print(*sorted(sys.modules.keys() - before))"


def python(code: str, **environment: str) -> str:
    given = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given).stdout


def needless(modules: Iterable[str]) -> list[str]:
    """Those that `import tidemill` should have left alone."""
    roots = {*HEAVY, *(f"tidemill.{name}" for name in OWN)}
    found: list[str] = []
    for module in modules:
        parts = module.split(".")
        above = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
        if above & roots or (module.startswith("tidemill.templates.") and module != DECLARING):
            found.append(module)
    return found


def test_an_import_takes_at_most_one_and_a_half_times_that_of_redis(tmp_path: Path) -> None:
    def seconds(module: str) -> float:
        """Of the processor: what others do meanwhile does not count. With byte code, as installed packages have it."""
        byte_code = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
        return float(python(_MEASURE.format(module), **byte_code))

    for module in ("tidemill", "redis"):
        seconds(module)  # its byte code is written
    ours, theirs = (
        min(both) for both in zip(*((seconds("tidemill"), seconds("redis")) for _ in range(RUNS)), strict=True)
    )
    assert ours <= 1.5 * theirs, f"import tidemill: {ours * 1000:.0f} ms, import redis: {theirs * 1000:.0f} ms"


@pytest.mark.parametrize("then", ["", _DECLARING], ids=["importing", "declaring a task"])
def test_modules_that_not_every_program_needs_are_imported_at_their_first_use(then: str) -> None:
    loaded = python(_BEFORE + then + _AFTER).split()
    assert "tidemill.task" in loaded
    assert needless(loaded) == []


def test_a_name_that_is_imported_at_its_first_use_is_there_like_any_other() -> None:
    code = """
import tidemill
assert set(tidemill.__all__) <= set(dir(tidemill))
from tidemill import *
from tidemill import templates, breakers
from tidemill.templates.template import Template as its_own
assert Template is its_own is tidemill.Template and Breaker is breakers.Breaker
assert all(name in globals() for name in tidemill.__all__)
try:
    tidemill.Templat
except AttributeError as error:
    print(error)
"""
    assert python(code) == "module 'tidemill' has no attribute 'Templat'\n"
