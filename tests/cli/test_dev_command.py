"""`tidemill dev`: a fleet of one that follows the code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conditions import eventually
from tidemill import Tidemill, embedded
from tidemill.commands.dev import LIMITERS, snapshot
from tidemill_consumers.concurrency import ALGORITHMS

# Every answer has the same length, so that only the time of a change tells versions apart.
APP = """
from tidemill import Tidemill

mill = Tidemill()

@mill.task()
def answer() -> str:
    return "{answer}"
"""


class Dev:
    """`tidemill dev app:mill` in a directory."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self._output = place / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidemill", "dev", "app:mill", *arguments],
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def pids(self, role: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"^{role}: pid (\d+)$", self.output, re.MULTILINE)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def _dev(place: Path, *arguments: str) -> Generator[Dev]:
    running = Dev(place, *arguments)
    try:
        yield running
    finally:
        running.stop()


def _write(place: Path, answer: str) -> None:
    _replace(place, APP.format(answer=answer))


def _replace(place: Path, code: str) -> None:
    """At once, as editors do: a file that is written in place can be seen while it is empty."""
    (place / "app.py.new").write_text(code)
    (place / "app.py.new").replace(place / "app.py")


def _answers(mill: Tidemill, wanted: str) -> None:
    """An enqueued job is answered so; what the old code had taken may still be answered by it."""

    def answered() -> bool:
        return bool(mill.enqueue("app.answer").result(timeout=30) == wanted)

    eventually(answered, f"the code that answers {wanted} runs", 60)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_change_of_code_is_run_and_code_that_does_not_parse_is_waited_out(tmp_path: Path, mill: Tidemill) -> None:
    _write(tmp_path, "one")
    with _dev(tmp_path, "--url", mill.url) as running:
        _answers(mill, "one")
        _write(tmp_path, "two")
        _answers(mill, "two")
        assert "app.py changed: starting the worker again" in running.output
        _replace(tmp_path, "def answer(:\n")
        eventually(lambda: "the worker ended (exit code 1)" in running.output, "the broken worker has ended", 60)
        assert "SyntaxError" in running.output
        _write(tmp_path, "six")
        _answers(mill, "six")
        pids = running.pids("worker") + running.pids("scheduler")
        assert len(pids) == 5
        assert running.stop() == 0
    assert not [pid for pid in pids if _is_alive(pid)]
    assert "stopping" in running.output


def test_a_scheduler_runs_beside_the_worker_and_is_started_again(tmp_path: Path, mill: Tidemill) -> None:
    _write(tmp_path, "one")
    worker = ("--concurrency", "2", "--concurrency-limiter", "gradient", "--queues", "default")
    with _dev(tmp_path, "--url", mill.url, *worker) as running:
        delayed = mill.named("app.answer").enqueue_in(0.1)
        assert delayed.result(timeout=60) == "one"
        (found,) = mill.inspect.workers()
        assert (found.description["limiter"], found.description["concurrency"]) == ("gradient", "2")
        os.kill(running.pids("scheduler")[0], signal.SIGKILL)
        eventually(lambda: len(running.pids("scheduler")) == 2, "the scheduler was started again", 60)
        assert "the scheduler ended (killed by SIGKILL)" in running.output
        assert mill.named("app.answer").enqueue_in(0.1).result(timeout=60) == "one"


def test_options_of_the_worker_are_passed_on(tmp_path: Path, mill: Tidemill) -> None:
    (tmp_path / "app.py").write_text("import sys\n" + APP.replace('"{answer}"', '" ".join(sys.argv[1:])'))
    given = ("--template-cache-entries=7", "--template-cache-bytes=70000", "--no-template-warming", "--queues=default")
    with _dev(tmp_path, "--url", mill.url, *given):
        worker = str(mill.enqueue("app.answer").result(timeout=60)).split()
    assert worker[0] == "worker"
    assert set(given) <= set(worker)
    assert not [option for option in worker if option.startswith("--concurrency")]


def test_without_a_url_it_starts_the_embedded_server_and_ctrl_c_ends_it_all_but_that(tmp_path: Path) -> None:
    _write(tmp_path, "one")
    place = tmp_path / ".tidemill"
    try:
        with _dev(tmp_path) as running:
            eventually(lambda: running.pids("worker"), "the worker was started", 60)
            server = embedded.find(place)
            assert server is not None
            assert f"server: {server.url}" in running.output
            with Tidemill(server.url) as mill:
                _answers(mill, "one")
            assert running.stop(signal.SIGINT) == 0
        assert embedded.find(place) is not None
    finally:
        embedded.stop(place)


def test_it_knows_the_limiters_of_the_worker() -> None:
    assert list(ALGORITHMS) == list(LIMITERS)


@pytest.mark.parametrize("skipped", [".venv", ".tidemill", "__pycache__", "node_modules", "environment"])
def test_only_code_of_yours_is_looked_at(tmp_path: Path, skipped: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("")
    (tmp_path / "package" / "notes.txt").write_text("")
    (tmp_path / skipped).mkdir()
    (tmp_path / skipped / "pyvenv.cfg").write_text("")
    (tmp_path / skipped / "other.py").write_text("")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    before = snapshot(tmp_path)
    assert list(before) == [str(tmp_path / "package" / "module.py")]
    (tmp_path / "package" / "module.py").write_text("x = 1")
    assert snapshot(tmp_path) != before
