"""kill -9 of every process of the demo, in turn and all at once: the report is that of an undisturbed demo."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from conditions import eventually
from demo.demo_process import Demo, demo, is_alive, sources
from tidemill import Tidemill, embedded
from tidemill.demo.app import FILES
from tidemill.demo.catalog import Catalog

# What the files are like; the rest of a report says how long it took, and what went wrong on the way.
FACTS = (
    *("root", "found", "succeeded", "dead_lettered", "totals", "most_complex", "dead_letters", "folders"),
    *("checks", "adds_up"),
)
FILES_COUNT = 60
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources(tmp_path_factory.mktemp("files"), FILES_COUNT)


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in FACTS}


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The facts of a demo to which nothing happened."""
    with _demo(tmp_path_factory.mktemp("undisturbed"), root) as running:
        assert running.wait() == 0, running.messages
    report = running.report()
    assert report["adds_up"] is True
    return _facts(report)


@contextmanager
def _demo(place: Path, root: Path) -> Generator[Demo]:
    with demo(place, "--json", "--root", str(root), "--lease", "1") as running:
        yield running


class Fleet:
    """The processes of a demo, found from outside."""

    def __init__(self, place: Path, running: Demo) -> None:
        self._directory = place / ".tidemill" / "demo" / "server"
        self._running = running

    @property
    def server(self) -> int:
        found = embedded.find(self._directory)
        return found.pid if found else 0

    def is_started(self) -> bool:
        return len(self._running.pids) >= 3 and self.server > 0

    def in_the_middle(self) -> bool:
        """Some files are indexed, and some are not. Asserts that it is not too late to kill something."""
        found = embedded.find(self._directory)
        if found is None or found.loading or "enqueued" not in self._running.messages:
            return False
        with Tidemill(found.url) as mill:
            figures = mill.inspect.queue(FILES)
        assert figures.scheduled + figures.waiting + figures.running > 0, "all files are indexed already"
        return int(figures.counters.get("succeeded", 0)) >= 5

    def goes_on(self) -> bool:
        """Some files are indexed. Perhaps all: what earlier demos left over may be done in an instant."""
        found = embedded.find(self._directory)
        if found is None or found.loading or "enqueued" not in self._running.messages:
            return self._running.process.poll() is not None
        with Tidemill(found.url) as mill:
            return int(mill.inspect.queue(FILES).counters.get("succeeded", 0)) >= 5

    def files_over(self) -> int:
        """The jobs of files that have ended, by the data of the server, which the demo has stopped."""
        try:
            with Tidemill(embedded.ensure_running(self._directory).url) as mill:
                counters = mill.inspect.queue(FILES).counters
        finally:
            embedded.stop(self._directory)
        return sum(int(counters.get(name, 0)) for name in ("succeeded", "dead", "cancelled"))

    def of(self, role: str) -> list[int]:
        scheduler, *workers = self._running.pids[:3]
        match role:
            case "server":
                return [self.server]
            case "scheduler":
                return [scheduler]
            case "worker":
                return workers[:1]
            case "child":
                return _children(workers)[:1]
            case "demo":
                return [self._running.process.pid]
            case _:
                return [self._running.process.pid, self.server, scheduler, *workers, *_children(workers)]


def _children(parents: list[int]) -> list[int]:
    """The processes in which the workers' jobs run."""
    found: list[int] = []
    for parent in parents:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            with suppress(OSError):  # it has just ended
                found += [int(pid) for pid in (thread / "children").read_text(encoding="ascii").split()]
    return found


def _kill(pids: list[int]) -> None:
    assert all(pids), pids
    first, *others = pids
    os.kill(first, signal.SIGKILL)
    for pid in others:
        with suppress(ProcessLookupError):  # it has ended with one of those before it
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("role", ["scheduler", "worker", "child", "server"])
def test_a_process_that_is_killed_is_started_again_by_the_demo(
    tmp_path: Path, root: Path, undisturbed: dict[str, Any], role: str
) -> None:
    with _demo(tmp_path, root) as running:
        fleet = Fleet(tmp_path, running)
        eventually(fleet.in_the_middle, "the demo is in the middle", PATIENCE_SECONDS)
        _kill(eventually(lambda: fleet.of(role), "it is there"))
        assert running.wait() == 0, running.messages
    assert _facts(running.report()) == undisturbed


@pytest.mark.parametrize("role", ["demo", "all"])
def test_a_demo_that_is_killed_is_gone_on_with_by_the_next(
    tmp_path: Path, root: Path, undisturbed: dict[str, Any], role: str
) -> None:
    with _demo(tmp_path, root) as killed:
        fleet = Fleet(tmp_path, killed)
        eventually(fleet.in_the_middle, "the demo is in the middle", PATIENCE_SECONDS)
        gone = fleet.of(role)
        _kill(gone)
        assert killed.wait() == -signal.SIGKILL
    with _demo(tmp_path, root) as running:
        assert running.wait() == 0, running.messages
    assert "this one goes on with it" in running.messages
    assert fleet.files_over() == running.report()["found"], "what was done before was done again"
    assert _facts(running.report()) == undisturbed
    eventually(lambda: not any(map(is_alive, [*killed.pids, *running.pids])), "no process is left", PATIENCE_SECONDS)


@pytest.mark.timeout(600)  # six demos
def test_every_process_in_turn_and_then_all_at_once(tmp_path: Path, root: Path, undisturbed: dict[str, Any]) -> None:
    for role in ("demo", "server", "scheduler", "worker", "all"):
        with _demo(tmp_path, root) as running:
            fleet = Fleet(tmp_path, running)
            eventually(fleet.is_started, "the fleet is started", PATIENCE_SECONDS)
            _kill(fleet.of(role))
            if role in ("server", "scheduler", "worker"):
                eventually(fleet.goes_on, "it goes on", PATIENCE_SECONDS)
                running.process.kill()
                assert running.wait() in (-signal.SIGKILL, 0), running.messages
            else:
                assert running.wait() == -signal.SIGKILL
    with _demo(tmp_path, root) as last:
        assert last.wait() == 0, last.messages
    assert _facts(last.report()) == undisturbed


def test_a_catalog_that_comes_back_knows_what_it_was_told(tmp_path: Path) -> None:
    first = Catalog(tmp_path, goes_on=False)
    first.note("folder", "hash")
    first.close()
    with (tmp_path / "announced").open("a") as journal:
        journal.write('\n["cut off by a ki')
    second = Catalog(tmp_path, goes_on=True)
    second.note("other", "hash")
    assert second.announced == {"folder": "hash", "other": "hash"}
    assert second.address.read_text() == str(second.server_address[1])
    second.close()
    anew = Catalog(tmp_path, goes_on=False)
    assert anew.announced == {}
    anew.close()


def test_a_demo_of_other_files_begins_anew(tmp_path: Path, root: Path) -> None:
    with _demo(tmp_path, root) as killed:
        eventually(Fleet(tmp_path, killed).in_the_middle, "the demo is in the middle", PATIENCE_SECONDS)
        _kill([killed.process.pid])
        killed.wait()
    other = tmp_path / "other"
    other.mkdir()
    (other / "one.py").write_text("x = 1\n")
    with _demo(tmp_path, other) as running:
        assert running.wait() == 0, running.messages
    assert "goes on" not in running.messages
    assert (running.report()["found"], running.report()["adds_up"]) == (1, True)
