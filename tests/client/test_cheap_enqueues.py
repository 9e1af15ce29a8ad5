"""What makes an enqueue cheap changes nothing that can be seen: the bytes, the ids, the times for an answer."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from redis.asyncio import Connection

from tidemill import JobState, ServerUnavailable, Tidemill, call
from tidemill.connection import AsyncLink
from tidemill.connection.driver import pack
from tidemill.ids import new_id, new_ids
from tidemill.job import known_state
from tidemill.settings import ENQUEUE_CHUNK_JOBS
from tidemill.target import Target
from tidemill.wire.command import Command

COMMANDS = [
    ("PING",),
    ("SET", "ключ", b"\x00\r\n$5\r\n", 5, -1, 1.5, ""),
    ("SET", "large", b"x" * 100_000),
]


def test_commands_are_packed_into_one_piece_with_the_bytes_that_the_driver_would_send() -> None:
    theirs = cast(Any, Connection(protocol=2)).pack_commands(COMMANDS)  # written in Python, by another hand than ours
    assert len(theirs) > 1
    assert pack(COMMANDS) == [b"".join(theirs)]


def test_no_commands_are_no_bytes() -> None:
    assert pack([]) == [b""]


@pytest.mark.parametrize("count", [0, 1, 23, 1024, 1025, 5000])
def test_ids_that_are_made_together_are_as_many_as_asked_for_and_all_different(count: int) -> None:
    found = new_ids(count)
    assert len(found) == len(set(found)) == count
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{21}", one) for one in found)


def test_ids_that_are_made_together_stand_in_the_order_of_time_with_others() -> None:
    before, together, after = new_id(), new_ids(1), new_id()
    times = [one[:9] for one in (before, *together, after)]
    assert times == sorted(times)


def test_ids_of_two_calls_do_not_begin_at_the_same_place() -> None:
    assert len({new_ids(2)[0][-2:] for _ in range(200)}) > 100
    assert len({new_ids(2)[0][9:-2] for _ in range(200)}) == 200


def test_many_jobs_come_back_in_the_order_of_their_calls(mill: Tidemill) -> None:
    count = 2 * ENQUEUE_CHUNK_JOBS + 7
    jobs = mill.named("a.task").enqueue_many(call(number) for number in range(count))
    assert len({job.id for job in jobs}) == count
    for number in (0, ENQUEUE_CHUNK_JOBS - 1, ENQUEUE_CHUNK_JOBS, count - 1):
        assert mill.client.codec.decode_call(jobs[number].record.body) == ([number], {})


@pytest.mark.parametrize("state", list(JobState))
def test_a_state_is_read_by_its_name(state: JobState) -> None:
    assert known_state(str(state)) is state


def test_a_state_that_nobody_knows_is_a_dead_letters() -> None:
    assert known_state("undead") is JobState.DEAD


def _blocked(seconds: float) -> Command[object]:
    return Command(("BLPOP", "tm:{0}:nothing", seconds), lambda reply: reply)


async def test_async_code_waits_for_each_of_several_answers_as_long_as_for_one(url: str) -> None:
    link = AsyncLink(Target(lambda: url), deadline_seconds=3.0)
    assert await link.run_all([_blocked(0.4)] * 8) == [None] * 8
    await link.close()


async def test_async_code_gives_up_an_answer_that_does_not_come(url: str) -> None:
    link = AsyncLink(Target(lambda: url), deadline_seconds=0.5)
    with pytest.raises(ServerUnavailable, match="no answer"):
        await link.run(_blocked(20))
    await link.close()
