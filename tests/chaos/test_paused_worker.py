"""A worker that stands still for five leases in the middle of a job, and goes on."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

from chaos import witness
from chaos.history import Recorder, read
from chaos.processes import APP, Process
from conditions import eventually
from servers import Server
from tidemill import Tidemill

LEASE_SECONDS = 2.0
PAUSE_SECONDS = 10.0
# Long enough to be stopped in its middle on a busy machine.
JOB_SECONDS = 3.0


def events(directory: Path, process: Process) -> list[str]:
    """What it has logged."""
    text = (directory / f"{process.name}.log").read_text(encoding="utf-8")
    return [json.loads(line)["event"] for line in text.splitlines()]


def stop(*processes: Process) -> None:
    for process in processes:
        process.send(signal.SIGCONT)
        process.send(signal.SIGTERM)
        process.wait()


@pytest.mark.parametrize("alone", [("--no-supervisor",), ()], ids=["alone", "supervised"])
def test_a_worker_stopped_for_ten_seconds_finds_its_job_done_elsewhere_and_its_own_result_refused(
    tmp_path: Path, url: str, mill: Tidemill, server: Server, alone: tuple[str, ...]
) -> None:
    (tmp_path / "effects").mkdir()
    recorder = Recorder(tmp_path, "test")
    log = ("--log-format=json", "--log-level=info")
    command = ("tidemill", "worker", APP, f"--lease={LEASE_SECONDS}", *alone, *log)
    first, second = (Process("worker", f"worker-{number}", command, tmp_path, url) for number in range(2))
    scheduler = Process("scheduler", "scheduler-0", ("tidemill", "scheduler", *log), tmp_path, url)
    try:
        for process in (first, scheduler):
            process.tend(recorder)
        job = mill.named("chaos.application.slow").using(queue="slow").enqueue(JOB_SECONDS)
        eventually(lambda: any(line["op"] == "start" for line in read(tmp_path)), "it runs", 60)
        paused = [None, *first.children()]
        for pid in paused:
            first.send(signal.SIGSTOP, pid)
        second.tend(recorder)
        over = threading.Event()
        timer = threading.Timer(PAUSE_SECONDS, over.set)
        timer.start()
        job.result(timeout=60)  # of the other worker: the first still stands
        assert over.wait(60)
        for pid in paused:
            first.send(signal.SIGCONT, pid)
        eventually(lambda: "job.fenced" in events(tmp_path, first), "its late result is refused", 60)
        eventually(lambda: "lease.lost" in events(tmp_path, first), "and another thread has noticed why", 60)
        assert events(tmp_path, first).count("lease.lost") == 1
        assert mill.named("chaos.application.plain").using(queue="default").enqueue().result(timeout=60) is None
    finally:
        stop(first, second, scheduler)
    lines = [line for line in read(tmp_path) if line.get("job") == job.id]
    starts = [line for line in lines if line["op"] == "start"]
    assert [(line["proc"], line["attempt"]) for line in starts] == [(first.name, 1), (second.name, 2)]
    assert [line["first"] for line in lines if line["op"] == "effect"] == [True, False], "both came to their end"
    record = job.refresh().record
    assert (record.state, record.attempt, record.crashes) == ("succeeded", 2, 1)
    assert int(server.client.hget(witness.KEYS.queue("slow"), "succeeded")) == 1
    assert mill.doctor().findings == ()
    assert witness.left_behind(server) == []
