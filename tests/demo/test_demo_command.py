"""`tidemill demo`: its figures add up, whatever happens to its workers."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from conditions import eventually
from demo.demo_process import BROKEN, demo, is_alive, refused, sources
from tidemill import Tidemill, embedded
from tidemill.demo.app import FILES
from tidemill.wire.scripts import QueueFigures

pytestmark = pytest.mark.timeout(300)


def _done(figures: QueueFigures) -> int:
    return int(figures.counters.get("succeeded", 0)) + int(figures.counters.get("dead", 0))


def _stop_a_busy_worker(mill: Tidemill) -> int:
    """The pid of a worker that stands still from now on, while files are running in it; 0: none was so busy."""
    pids = {worker.incarnation: int(worker.description["pid"]) for worker in mill.inspect.workers()}
    for busiest, _ in _files_by_worker(mill).most_common(1):
        os.kill(pids[busiest], signal.SIGSTOP)
        if _files_by_worker(mill)[busiest]:
            return pids[busiest]
        os.kill(pids[busiest], signal.SIGCONT)
    return 0


def _files_by_worker(mill: Tidemill) -> Counter[str]:
    """How many are running, by their worker's incarnation."""
    return Counter(job.record.lease for job in mill.inspect.jobs(FILES, "running"))


def test_the_report_adds_up_and_the_dead_letters_are_the_files_that_do_not_parse(tmp_path: Path, url: str) -> None:
    root = sources(tmp_path / "sources", 150)
    with demo(tmp_path / "demo", "--json", "--url", url, "--root", str(root)) as running:
        assert running.wait() == 0, running.messages
    report = running.report()
    assert report["adds_up"] is True
    assert report["found"] == len(list(root.rglob("*.py"))) == report["succeeded"] + report["dead_lettered"]
    assert report["dead_letters"].keys() == refused(root)
    assert refused(root) >= BROKEN.keys()
    assert report["lateness"]["count"] + report["start_latency"]["count"] == report["found"]
    assert report["refused_announcements"] > 0
    assert report["samples"] > 0


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(tmp_path: Path, mill: Tidemill, url: str) -> None:
    root = sources(tmp_path / "sources", 250)
    with demo(tmp_path / "demo", "--json", "--url", url, "--root", str(root), "--lease", "2") as running:
        eventually(lambda: _done(mill.inspect.queue(FILES)) >= 10, "some files are indexed", 60)
        os.kill(eventually(lambda: _stop_a_busy_worker(mill), "a worker is busy"), signal.SIGKILL)
        assert running.wait() == 0, running.messages
    report = running.report()
    assert report["adds_up"] is True
    assert report["found"] == len(list(root.rglob("*.py"))) == report["succeeded"] + report["dead_lettered"]
    assert report["dead_letters"].keys() == refused(root)
    assert report["worker_restarts"] == 1
    assert report["recovered"] > 0
    assert "was killed by SIGKILL; started again" in running.messages


def test_without_a_url_it_runs_on_a_server_of_its_own_time_after_time(tmp_path: Path) -> None:
    library = ("--files", "12", "--workers", "1")
    with demo(tmp_path, *library, "--json") as first:
        assert first.wait() == 0, first.messages
    report = first.report()
    with demo(tmp_path, *library) as second:
        assert second.wait() == 0, second.messages
    assert "12 found = " in second.text()
    assert f"{report['totals']['lines']:,} lines" in second.text()
    assert "It adds up: " in second.text()
    assert embedded.find(tmp_path / ".tidemill" / "demo" / "server") is None


def test_a_demo_that_does_not_add_up_says_so_and_exits_with_1(tmp_path: Path, mill: Tidemill, url: str) -> None:
    root = tmp_path / "sources"
    root.mkdir()
    for number in range(40):
        (root / f"module_{number:02}.py").write_text(f"def f{number}() -> None: ...\n")
    with demo(tmp_path / "demo", "--url", url, "--root", str(root)) as running:
        # Some are delayed: they keep the demo from its end until they may begin.
        eventually(lambda: _done(mill.inspect.queue(FILES)) >= 1, "a file is indexed", 60)
        mill.inspect.pause(FILES)
        indexed = int(mill.inspect.jobs(FILES, "succeeded")[0].id.rpartition("-")[2])
        (root / f"module_{indexed:02}.py").write_text("changed behind the demo's back")
        mill.inspect.resume(FILES)
        assert running.wait() == 1
    assert "does NOT add up" in running.text()
    assert "the dead letters are exactly the files that ast.parse refuses" in running.text()


def test_ctrl_c_stops_every_process_and_the_server(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        eventually(lambda: "enqueued" in running.messages, "the demo is under way", 60)
        started = running.pids
        running.process.send_signal(signal.SIGINT)
        assert running.wait() == 128 + signal.SIGINT
    assert len(started) == 3
    assert not [pid for pid in started if is_alive(pid)]
    assert embedded.find(tmp_path / ".tidemill" / "demo" / "server") is None
    assert "Traceback" not in running.messages


def test_a_stopped_demo_leaves_nothing_behind_that_runs_on_a_server_of_yours(tmp_path: Path, mill: Tidemill) -> None:
    with demo(tmp_path, "--url", mill.url) as running:
        eventually(lambda: "enqueued" in running.messages, "the demo is under way", 60)
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGINT
    figures = mill.inspect.queue(FILES)
    assert (figures.scheduled, figures.running) == (0, 0)
    assert mill.client.link.run(mill.client.scripts.recurring()) == {}


def test_a_second_demo_in_the_same_directory_is_refused(tmp_path: Path, mill: Tidemill) -> None:
    with demo(tmp_path, "--url", mill.url) as running:
        eventually(lambda: "started scheduler" in running.messages, "the demo is under way", 60)
        other_place = tmp_path / "other"
        other_place.mkdir()
        (other_place / ".tidemill").symlink_to(tmp_path / ".tidemill")
        with demo(other_place, "--url", mill.url) as second:
            assert second.wait() == 1
        assert "another demo runs in" in second.messages


def test_a_fleet_that_does_not_stay_up_is_given_up(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_LOG_LEVEL", "nonsense")  # which schedulers and workers refuse
    with demo(tmp_path, "--url", url, "--files", "3") as running:
        assert running.wait() == 1
    assert "ends again and again (exit code 2)" in running.messages


def test_a_folder_without_python_files_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "empty").mkdir()
    with demo(tmp_path, "--url", url, "--root", str(tmp_path / "empty")) as running:
        assert running.wait() == 2
    assert "has no .py files" in running.messages
