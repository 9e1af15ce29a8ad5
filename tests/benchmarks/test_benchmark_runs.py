"""The machinery of the benchmarks, with real processes and a real server."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks import processes, recorder
from benchmarks.bench import Bench
from benchmarks.bench_server import fresh_server
from benchmarks.measurements.drain import bare_per_second, drained_per_second
from benchmarks.measurements.enqueue import in_bulk, one_by_one, per_second
from benchmarks.processes import Run, new_run
from benchmarks.verification import DoesNotCount

NOTES_THREE = """
import threading
from benchmarks.recorder import count, note
from conditions import eventually
import sys
from functools import partial
from pathlib import Path
import os
for number in (2, 0, 1):
    note(number)
eventually(lambda: count(Path(os.environ["BENCH_DIRECTORY"])) == 3, "written")
print({})
"""


def test_what_a_process_notes_is_read_by_another(tmp_path: Path) -> None:
    program = tmp_path / "notes.py"
    program.write_text(NOTES_THREE)
    run = Run("redis://127.0.0.1:1/0", tmp_path)
    with run.process([sys.executable, str(program)]):
        run.noted(3)
    starts = recorder.read(tmp_path)
    assert [start.number for start in starts] == [2, 0, 1]
    assert starts[0].at_ns <= starts[1].at_ns <= starts[2].at_ns


def test_a_drain_runs_every_job_once_through_the_worker_command() -> None:
    assert drained_per_second(Bench(is_quick=True), "thread", 300) > 0


def test_the_bare_drain_settles_every_job() -> None:
    assert bare_per_second(Bench(is_quick=True), 500) > 0


def test_a_run_with_a_job_too_many_does_not_count() -> None:
    with fresh_server("valkey") as server, new_run(server.url) as run, run.worker("thread"):
        run.produce("thread", "fill", 3)
        run.produce("thread", "fill", 1)
        run.noted(4)
        with pytest.raises(DoesNotCount, match=r"1 ran more than once \(the first: 0\)"):
            run.finished(3)


def test_a_program_that_fails_says_why() -> None:
    with new_run("redis://127.0.0.1:1/0") as run, pytest.raises(DoesNotCount, match="no such pattern: never"):
        run.program("delay", "never", 1, 1, 1)


def test_nothing_is_left_of_a_run() -> None:
    with fresh_server("valkey") as server, new_run(server.url) as run, run.worker("thread") as pid:
        run.registered(server, 1)
        family = [pid, *processes.descendants(pid)]
    assert len(family) > 1
    assert not [one for one in family if Path(f"/proc/{one}").exists() and "Z" not in _state(one)]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_a_producer_tells_how_long_it_took() -> None:
    assert 0 < per_second(Bench(is_quick=True), partial(one_by_one, "thread", 50)) < 1_000_000
    assert 0 < per_second(Bench(is_quick=True), partial(in_bulk, "thread", 50)) < 10_000_000
