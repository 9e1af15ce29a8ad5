"""Effects happen once, although their job runs again: real worker processes, killed and paused at the worst moments."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conditions import eventually
from effects import effects_app
from effects.effects_app import PRICE
from fleet import running_scheduler
from tidemill import Tidemill
from worker.processes import ALONE, Command, lines, running

Sold = Callable[[], int]

# A killed worker is noticed after this.
LEASE_SECONDS = 1
# For one that nothing happens to: a busy machine does not make it lose its jobs.
LONG_LEASE_SECONDS = 30
# How long a test waits for another attempt: a lease and, on a busy machine, much more.
PATIENCE_SECONDS = 40


@pytest.fixture(autouse=True)
def _scheduler(app: Tidemill) -> Iterator[None]:
    with running_scheduler(app):
        yield


@contextmanager
def _worker(log: Path, app: Tidemill, lease: int = LEASE_SECONDS) -> Generator[Command]:
    options = (ALONE, f"--lease={lease}", "--concurrency=2", "--grace=1")
    with running(log, app.url, "worker", "effects.effects_app:mill", *options) as worker:
        yield worker


@contextmanager
def _two_workers(tmp_path: Path, app: Tidemill) -> Generator[tuple[Command, Command]]:
    with _worker(tmp_path / "worker-1.log", app) as first, _worker(tmp_path / "worker-2.log", app) as second:
        yield first, second


def test_a_worker_killed_between_effect_and_completion_makes_the_effect_once(
    tmp_path: Path, app: Tidemill, sold: Sold
) -> None:
    job = effects_app.sell_and_die.enqueue()
    with _two_workers(tmp_path, app) as workers:
        assert job.result(PATIENCE_SECONDS) is False, "the second attempt made the effect again"
        assert -signal.SIGKILL in [worker.process.poll() for worker in workers]
    assert (sold(), job.record.crashes) == (PRICE, 1)


def test_a_child_killed_between_effect_and_completion_makes_the_effect_once(
    tmp_path: Path, app: Tidemill, sold: Sold
) -> None:
    job = effects_app.sell_in_a_child_and_die.enqueue()
    with _worker(tmp_path / "worker.log", app):
        assert job.result(PATIENCE_SECONDS) is False
    assert (sold(), job.record.attempt) == (PRICE, 2)


@pytest.mark.parametrize("zombie_first", [True, False])
def test_an_attempt_that_was_paused_past_its_lease_makes_no_effect(
    tmp_path: Path, app: Tidemill, sold: Sold, zombie_first: bool
) -> None:
    """It wakes either before or after the attempt that replaced it makes the effect."""
    journal, release = tmp_path / "journal", tmp_path / "release"
    job = effects_app.sell_when_released.enqueue(str(journal), str(release))
    with _worker(tmp_path / "worker-1.log", app) as first:
        eventually(lambda: lines(journal) == ["started 1"], "the first attempt runs", PATIENCE_SECONDS)
        first.send(signal.SIGSTOP)
        with _worker(tmp_path / "worker-2.log", app, LONG_LEASE_SECONDS):
            eventually(lambda: lines(journal)[1:] == ["started 2"], "the second attempt runs", PATIENCE_SECONDS)
            if zombie_first:
                _wake(first, release, journal)
                assert sold() == 0
            Path(f"{release}.2").touch()
            assert job.result(PATIENCE_SECONDS) is True
            if not zombie_first:
                _wake(first, release, journal)
    assert sold() == PRICE
    assert sorted(lines(journal)) == ["StaleAttempt", "sold 2 True", "started 1", "started 2"]


def _wake(zombie: Command, release: Path, journal: Path) -> None:
    release.touch()
    zombie.send(signal.SIGCONT)
    eventually(lambda: "StaleAttempt" in lines(journal), "the zombie was refused", PATIENCE_SECONDS)


@pytest.mark.parametrize("after", [True, False])
def test_a_worker_killed_between_begin_and_end_leaves_a_question_and_not_a_second_charge(
    tmp_path: Path, app: Tidemill, after: bool
) -> None:
    charges = tmp_path / "charges"
    job = effects_app.charge_and_die.enqueue(str(charges), after=after)
    with _two_workers(tmp_path, app):
        assert job.result(PATIENCE_SECONDS) == "receipt of charge 17"
    assert lines(charges) == ["charge 17"]


def test_a_paused_attempt_can_not_record_the_end_of_what_another_has_taken_over(tmp_path: Path, app: Tidemill) -> None:
    journal, charges, release = tmp_path / "journal", tmp_path / "charges", tmp_path / "release"
    job = effects_app.charge_when_released.enqueue(str(journal), str(charges), str(release))
    with _worker(tmp_path / "worker-1.log", app) as first:
        eventually(lambda: lines(journal) == ["charged"], "the first attempt has charged", PATIENCE_SECONDS)
        first.send(signal.SIGSTOP)
        with _worker(tmp_path / "worker-2.log", app, LONG_LEASE_SECONDS):
            assert job.result(PATIENCE_SECONDS) == "found"
            _wake(first, release, journal)
            again = effects_app.charge_async.enqueue(str(charges))
            assert again.result(PATIENCE_SECONDS) == "done: found"
    assert lines(charges) == ["charge 17"]
