"""`once` inside a job: what it answers, what it refuses, and what it leaves on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conditions import eventually
from effects import effects_app
from effects.effects_app import PRICE
from fleet import running_fleet
from servers import Server
from tidemill import InvalidInput, JobFailed, Tidemill, once
from tidemill.context import CURRENT, CurrentJob, Fence
from tidemill.once import DEFAULT_TTL_SECONDS, MAX_COMMANDS, MAX_WORDS
from worker.processes import lines

Sold = Callable[[], int]

PATIENCE_SECONDS = 40


@pytest.fixture
def fleet(app: Tidemill) -> Iterator[None]:
    with running_fleet(app):
        yield


def _markers(server: Server) -> list[str]:
    return [key for key in server.all_keys() if ":once:" in key]


@pytest.mark.usefixtures("fleet")
def test_jobs_with_the_same_key_make_one_effect(sold: Sold) -> None:
    first = effects_app.sell.enqueue("17").result(PATIENCE_SECONDS)
    second = effects_app.sell_async.enqueue("17").result(PATIENCE_SECONDS)
    other = effects_app.sell_async.enqueue("18").result(PATIENCE_SECONDS)
    assert (first, second, other) == (True, False, True)
    assert sold() == 2 * PRICE


@pytest.mark.usefixtures("fleet")
def test_the_result_of_an_effect_is_remembered(tmp_path: Path) -> None:
    charges = str(tmp_path / "charges")
    answers = [effects_app.charge_async.enqueue(charges).result(PATIENCE_SECONDS) for _ in range(2)]
    assert answers == ["done: receipt of charge 17", "done: receipt of charge 17"]
    assert lines(Path(charges)) == ["charge 17"]


@pytest.mark.usefixtures("fleet")
def test_an_effect_that_was_refused_is_new_for_the_next_attempt(tmp_path: Path, app: Tidemill) -> None:
    charges = tmp_path / "charges"
    assert effects_app.refused_at_first.enqueue(str(charges)).result(PATIENCE_SECONDS) == "new"
    assert lines(charges) == ["charge 17"]


@pytest.mark.usefixtures("fleet")
def test_a_block_that_does_not_say_what_came_of_it_fails_its_job(app: Tidemill) -> None:
    with pytest.raises(JobFailed, match=r"ended without effect\.done\(\) or effect\.not_done\(\)"):
        effects_app.says_nothing.enqueue().result(PATIENCE_SECONDS)


@pytest.mark.usefixtures("fleet")
def test_while_a_job_is_at_an_effect_others_are_told_who_is(tmp_path: Path, app: Tidemill) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    holder = effects_app.hold_an_effect.enqueue(str(journal), str(release))
    eventually(lambda: lines(journal), "the effect is begun", PATIENCE_SECONDS)
    found = effects_app.is_busy.enqueue().result(PATIENCE_SECONDS)
    release.touch()
    holder.result(PATIENCE_SECONDS)
    assert (
        found.splitlines() == [f"effect 'charge 17': job {holder.id} has begun it, and still runs; try again later"] * 2
    )


@pytest.mark.usefixtures("fleet")
def test_an_effect_that_was_half_refused_is_not_half_made_again(server: Server, sold: Sold) -> None:
    text_key = "{0}:text"
    server.client.set(text_key, "text")
    try:
        found = effects_app.half_refused.enqueue(text_key).result(PATIENCE_SECONDS)
    finally:
        server.client.delete(text_key)
    assert found[0].startswith("TidemillError: effect 'half': 'INCRBY' was refused, the 1 before it stay applied: ERR")
    assert found[1].startswith("EffectUnknown: effect 'half' was begun, and no end was recorded")
    assert sold() == PRICE


@pytest.mark.usefixtures("fleet")
def test_a_marker_stays_as_long_as_its_ttl_says(server: Server, sold: Sold) -> None:
    effects_app.sell.enqueue("17").result(PATIENCE_SECONDS)
    (marker,) = _markers(server)
    left_seconds = server.client.pttl(marker) / 1000
    assert DEFAULT_TTL_SECONDS - PATIENCE_SECONDS < left_seconds <= DEFAULT_TTL_SECONDS
    assert "17" not in marker.partition(":once:")[0]
    assert len(marker.partition(":once:")[2]) == 32

    assert effects_app.with_ttl.enqueue(0.2).result(PATIENCE_SECONDS) == "True"
    eventually(lambda: _markers(server) == [marker], "the short marker is gone", PATIENCE_SECONDS)
    assert effects_app.with_ttl.enqueue(0.2).result(PATIENCE_SECONDS) == "True"
    assert sold() == 3 * PRICE
    eventually(lambda: _markers(server) == [marker], "the short marker is gone again", PATIENCE_SECONDS)


def test_outside_a_job_there_is_no_once() -> None:
    with pytest.raises(RuntimeError, match="outside a job"):
        once("sell 17")


@pytest.fixture
def inside(mill: Tidemill) -> Iterator[CurrentJob]:
    """This test is a job, but for a record."""
    job = CurrentJob(
        id="a", task="t", queue="q", attempt=1, fence=Fence("w", 1), deadline=None, report=lambda fraction, text: None
    )
    token = CURRENT.set(job)
    job.client = mill.client
    yield job
    CURRENT.reset(token)


@pytest.mark.parametrize("key", ["", "x" * 4097, 17])
@pytest.mark.usefixtures("inside")
def test_a_key_that_is_no_text_is_refused(key: Any) -> None:
    with pytest.raises(InvalidInput, match="the key of an effect"):
        once(key)


WRONG: list[tuple[list[Any], str]] = [
    ([], "1 to 100 commands"),
    ([["PING"]] * (MAX_COMMANDS + 1), "1 to 100 commands"),
    ([["DEL", *["x"] * MAX_WORDS]], "at most 5000 words"),
    (["INCR x"], "a list of words"),
    ([[]], "a list of words"),
    ([["SET", "x", None]], "not None"),
    ([["SET", "x", True]], "not True"),
]


@pytest.mark.parametrize(("commands", "message"), WRONG)
@pytest.mark.usefixtures("inside")
def test_commands_that_can_not_be_sent_are_refused(commands: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        once("sell 17").execute(*commands)


def test_an_executor_without_a_client_is_named_as_the_reason(inside: CurrentJob) -> None:
    inside.client = None
    with pytest.raises(RuntimeError, match="the executor that runs this job has not set it"):
        once("sell 17")
