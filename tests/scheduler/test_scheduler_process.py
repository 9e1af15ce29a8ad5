"""`tidemill scheduler` as a process, and a scheduler whose server goes away."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill
from tidemill.commands.root import tidemill
from tidemill.errors import ServerUnavailable
from tidemill.telemetry import QueueSample
from tidemill_scheduler.sampler import Sampler
from tidemill_scheduler.service import Scheduler
from worker.processes import running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(mill: Tidemill, tmp_path: Path, number: int) -> None:
    with running(tmp_path / "log", mill.url, "scheduler") as scheduler:
        job = mill.named("somebody.elses").using(delay=0.05).enqueue()
        eventually(lambda: job.refresh().state == "ready", "it promotes")
        scheduler.send(number)
        assert scheduler.wait() == 0
    assert "scheduler.started" in scheduler.output
    assert "scheduler.stopped" in scheduler.output
    assert "Traceback" not in scheduler.output


def test_a_scheduler_whose_thread_dies_ends_with_an_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Scheduler) -> None:
        raise SystemExit

    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    monkeypatch.setattr(Scheduler, "run", run)
    try:
        found = CliRunner().invoke(tidemill, ["scheduler", f"--url={url}"])
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(number, handler)
    assert found.exit_code == 1
    assert "scheduler.failed" in found.output


def test_a_scheduler_goes_on_when_its_server_is_back(own_server: Server) -> None:
    mill = Tidemill(own_server.url)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    with mill, running_scheduler(mill), running_worker(mill):
        job = add.enqueue_in(0.5, 1, 2)
        own_server.kill()
        own_server.start()
        assert job.result(timeout=20) == 3
        assert add.enqueue_in(0.05, 3, 4).result(timeout=10) == 7, "it listens again"


def test_a_scheduler_can_be_stopped_while_its_server_is_away(tmp_path: Path) -> None:
    mill = Tidemill(f"unix://{tmp_path}/nobody")
    with running_scheduler(mill):
        pass


def test_an_error_that_is_no_outage_ends_the_scheduler(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    def survey(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("tidemill.wire.scripts.Scripts.survey", survey)
    scheduler = Scheduler(mill)
    with pytest.raises(ZeroDivisionError):
        scheduler.run()


def test_the_gauges_show_the_depth_of_every_queue(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    mill.named("task").using(queue="a").enqueue()
    mill.named("task").using(queue="b", delay=60).enqueue()
    a, b = Sampler(mill)()
    assert a._replace(oldest_age_s=None) == QueueSample("a", wheel=0, ready=1, running=0, dead=0)
    assert a.oldest_age_s is not None
    assert a.oldest_age_s < 60
    assert b == QueueSample("b", wheel=1, ready=0, running=0, dead=0)

    def unavailable(_: object) -> object:
        raise ServerUnavailable

    monkeypatch.setattr("tidemill.inspection.Inspection.queues", unavailable)
    assert list(Sampler(mill)()) == []


def test_a_scheduler_ends_when_it_is_told_to_from_any_thread(mill: Tidemill) -> None:
    scheduler = Scheduler(mill)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    scheduler.stop()
    thread.join(10)
    assert not thread.is_alive()
