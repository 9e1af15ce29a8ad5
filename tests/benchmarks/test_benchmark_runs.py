"""The machinery of the benchmarks, with real processes and a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks import bare_spans, processes, recorder
from benchmarks.bench import Bench
from benchmarks.bench_server import fresh_server
from benchmarks.enqueue_parts import steps, us_per_job
from benchmarks.measurements.cpu import TICKS_PER_SECOND, cpu_seconds, enqueued_and_drained, fallen_due
from benchmarks.measurements.drain import bare_per_second, drained_per_second
from benchmarks.measurements.enqueue import bare_in_bulk, bare_one_by_one, in_bulk, one_by_one, per_second
from benchmarks.measurements.machine import spun
from benchmarks.measurements.stages import staged
from benchmarks.measurements.templates import sent
from benchmarks.measurements.tracing import spans_per_second
from benchmarks.processes import Run, new_run
from benchmarks.server_cpu import Spent
from benchmarks.verification import DoesNotCount
from conditions import eventually
from tidemill import Tidemill, telemetry

# Several processes start for each of them, which a busy machine takes its time for.
pytestmark = pytest.mark.timeout(360)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# It stays until it is killed, as a worker does: one that ends by itself is an error of the run.
NOTES_THREE = """
import threading
from benchmarks.recorder import note
for number in (2, 0, 1):
    note(number)
threading.Event().wait()
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


def test_a_process_that_ends_by_itself_is_an_error_of_the_run(tmp_path: Path) -> None:
    run = Run("redis://127.0.0.1:1/0", tmp_path)
    program = "print('no more'); raise SystemExit(3)"
    words = [sys.executable, "-c", program]
    with pytest.raises(DoesNotCount, match="ended with 3: no more"), run.process(words) as pid:
        eventually(lambda: not _runs(pid), "it has ended")


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
    # Killed they are; on a busy machine some take a moment to end.
    eventually(lambda: not any(map(_runs, family)), "all processes of the run have ended")


def _runs(pid: int) -> bool:
    """Whether this process is there, and no zombie."""
    return processes.stat_fields(pid)[:1] not in ([], ["Z"])


def test_a_producer_tells_how_long_it_took() -> None:
    assert 0 < per_second(Bench(is_quick=True), partial(one_by_one, "thread", 50)) < 1_000_000
    assert 0 < per_second(Bench(is_quick=True), partial(in_bulk, "thread", 50)) < 10_000_000


def test_a_template_s_job_is_a_fraction_of_the_same_sent_whole() -> None:
    ours, whole = (sent(Bench(is_quick=True), way, 400) for way in ("template", "whole"))
    assert 0 < ours.memory_bytes < whole.memory_bytes / 4
    assert 0 < ours.network_bytes < whole.network_bytes / 4
    assert min(ours.producer_us, ours.worker_us, ours.per_second) > 0


def test_the_bare_producers_enqueue_as_many_jobs_as_they_say() -> None:
    with fresh_server("valkey") as server, new_run(server.url) as run:
        assert bare_in_bulk(450, run)["jobs"] == 450
        assert run.program("bare_enqueue", "ahead", 650)["jobs"] == 650
        assert server.client.xlen("tm:{0}:ready:default:normal") == 450 + 650
        assert bare_one_by_one(50, run)["jobs"] == 50
        assert server.client.xlen("tm:{0}:ready:default:normal") == 450 + 650 + 50 + 10


def test_each_step_of_enqueue_many_takes_some_of_the_clients_time() -> None:
    with fresh_server("valkey") as server, Tidemill(server.url) as mill:
        found = {name: us_per_job(step) for name, step in steps(mill)}
    assert found.pop("enqueue_many as a whole") > max(found.values())
    assert min(found.values()) > 0


def test_the_cpu_time_of_a_job_is_that_of_server_and_client() -> None:
    enqueued, drained = enqueued_and_drained(Bench(is_quick=True), 3_000)
    # On a busy machine the jobs may be due before all are enqueued: such a run does not count.
    due = Bench().counted(lambda: fallen_due(Bench(is_quick=True), 0.01), tries=5)
    for one in (enqueued, drained, due):
        assert one.ours > 0
        assert "on the server (wall time): scripts " in one.note


def test_what_a_server_has_spent_is_known_by_command() -> None:
    with fresh_server("valkey") as server:
        before = Spent.by(server)
        server.client.hset("key", mapping=dict.fromkeys(range(1_000), "x"))
        spent = Spent.by(server).for_each(1, before)
    assert spent.main_thread_us > 0
    assert spent.commands_us["hset"] > 0


def test_cpu_time_is_counted_of_a_process_and_its_children() -> None:
    spin = "sum(range(3_000_000))"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{spin}; input()'], check=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as parent:
        eventually(lambda: cpu_seconds(parent.pid) > _own_seconds(parent.pid), "the child has used CPU time")
        parent.communicate(b"\n")


def _own_seconds(pid: int) -> float:
    fields = processes.stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def test_one_process_for_each_cpu_looks_for_pauses() -> None:
    found = spun(0.05)
    assert len(found) == len(os.sched_getaffinity(0))
    assert all(one["lost_ms"] >= one["longest_ms"] * bool(one["pauses"]) for one in found)


def test_the_stages_of_a_job_follow_each_other() -> None:
    delivered, taken, started = map(sorted, staged(Bench(is_quick=True), 100, 0.5).values())
    assert len(taken) == len(started) == 40
    assert 0 < len(delivered) <= 40
    assert all(before < after for before, after in zip(taken, started, strict=True))
    assert delivered[0] < started[0]


def test_the_bare_spans_are_made_and_exported() -> None:
    assert spans_per_second(100) > 0


def test_a_bare_span_has_the_attributes_and_the_remote_parent_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    bare_spans.spans(provider.get_tracer("bench"), 1)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    with telemetry.process("default", "bench.noop", "id", 1, TRACEPARENT, "worker") as span:
        span.outcome("succeeded")
    provider.shutdown()
    bare, ours = exporter.get_finished_spans()
    assert bare.attributes
    assert ours.attributes
    assert set(bare.attributes) == set(ours.attributes)
    assert (bare.name, bare.kind) == (ours.name, ours.kind)
    assert all(one.parent is not None and one.parent.is_remote for one in (bare, ours))
