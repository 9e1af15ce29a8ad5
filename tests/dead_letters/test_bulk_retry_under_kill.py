"""A bulk retry that is interrupted or killed: what went is noted, nothing is lost, and the same command goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conditions import eventually
from dead_letters.letters import leave, make_letters
from invariants import violations
from script_state import World
from servers import Server
from tidemill import Tidemill
from worker.processes import running

LETTERS = 400
SECONDS = 60
COMMAND = ("dead", "retry", "--queue", "default", "--rate", "30/s", "--by", "ann")


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """What a shell runs in the background ignores SIGINT, and so does all that it starts: these tests among it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _retried(mill: Tidemill) -> int:
    return sum(mill.inspect.queue("default").ready.values())


def _check(mill: Tidemill, server: Server, ids: list[str]) -> set[str]:
    """Record and place agree for every job, and the audit names exactly those that are ready."""
    states = {job_id: str(mill.job(job_id).state) for job_id in ids}
    assert set(states.values()) <= {"dead", "ready"}
    ready = {job_id for job_id, state in states.items() if state == "ready"}
    named = [job_id for action in mill.dead_letters.actions(limit=None) for job_id in action.jobs]
    assert sorted(named) == sorted(ready)
    world = World(server)
    try:
        assert violations(world.dump(), 0) == []
    finally:
        world.close()
    assert mill.doctor().healthy
    return ready


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_retried_is_noted_and_the_rest_waits_for_the_same_command(
    mill: Tidemill, url: str, server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    ids = make_letters(mill, LETTERS)
    leave(mill)
    with running(tmp_path / "first.log", url, *COMMAND) as first:
        eventually(lambda: _retried(mill) >= 30, "some were retried", SECONDS)
        first.send(number)
        code = first.wait(SECONDS)
    ready = _check(mill, server, ids)
    assert 30 <= len(ready) < LETTERS
    if number == signal.SIGINT:
        assert code == 130
        assert f"interrupted: retried {len(ready)} dead letters" in first.output
    with running(tmp_path / "second.log", url, *COMMAND[:4], "--by", "bob") as second:
        assert second.wait(SECONDS) == 0
    assert f"retried {LETTERS - len(ready)} of {LETTERS - len(ready)} dead letters" in second.output
    assert _check(mill, server, ids) == set(ids)
