"""Records that a foreign hand has changed: they become dead letters, and their neighbours run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from servers import Server
from tidemill import JobFailed, Retry, Tidemill
from tidemill.wire import envelope
from tidemill.wire.command import Argument, Command
from tidemill.wire.scripts import Scripts
from tidemill_consumers.settings import WorkerSettings

Damage = Callable[[Any, str], object]


def field(name: str, value: bytes | str) -> Damage:
    return lambda client, key: client.hset(key, name, value)


DAMAGES: dict[str, Damage] = {
    "arguments that are no msgpack": field("b", b"\xc1"),
    "arguments that are no call": field("b", envelope.pack({"a": 1})),
    "arguments that are cut off": field("b", b"\x92\x91"),
    "no arguments": lambda client, key: client.hdel(key, "b"),
    "options that are no msgpack": field("o", b"\xc1"),
    "options that are no map": field("o", envelope.pack([1])),
    "a policy that is none": field("o", envelope.pack({"retry": {"max_attempts": 0}})),
    "a policy of other fields": field("o", envelope.pack({"retry": {"color": "red"}})),
    "a timeout that is none": field("o", envelope.pack({"timeout_ms": 10**18})),
    "a timeout that is infinite": field("o", envelope.pack({"timeout_ms": float("inf")})),
    "a negative timeout": field("o", envelope.pack({"timeout_ms": -1})),
    "no task": lambda client, key: client.hdel(key, "t"),
    "an unknown state": field("s", "dancing"),
    "no state": lambda client, key: client.hdel(key, "s"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_corrupted_record_is_a_dead_letter_and_the_worker_lives_on(
    mill: Tidemill, server: Server, damage: Damage
) -> None:
    @mill.task(retry=Retry(max_attempts=3, base=0.01))
    def add(a: int, b: int) -> int:
        return a + b

    bad, good = add.enqueue(1, 2), add.enqueue(3, 4)
    damage(server.client, mill.client.scripts.keys.job(bad.id))
    with running_worker(mill, WorkerSettings(concurrency=1)):
        assert good.result(timeout=10) == 7
        eventually(lambda: bad.refresh().state == "dead", "the damaged one is a dead letter")
        with pytest.raises(JobFailed, match="CorruptRecord"):
            bad.result(timeout=10)
        assert add.enqueue(5, 6).result(timeout=10) == 11


@pytest.mark.parametrize("name", ["v", "k", "c", "d", "g"])
def test_a_field_that_is_no_number_or_text_does_not_keep_the_job_from_running(
    mill: Tidemill, server: Server, name: str
) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    job = add.enqueue(1, 2)
    server.client.hset(mill.client.scripts.keys.job(job.id), name, b"\xff\xfe")
    with running_worker(mill):
        eventually(lambda: mill.inspect.queue("default").counters.get("succeeded") == "1", "it ran")


def test_a_record_that_is_no_hash_is_a_dead_letter(mill: Tidemill, server: Server) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    bad, good = add.enqueue(1, 2), add.enqueue(3, 4)
    key = mill.client.scripts.keys.job(bad.id)
    server.client.delete(key)
    server.client.set(key, "mine")
    with running_worker(mill):
        assert good.result(timeout=10) == 7
        eventually(lambda: server.client.type(key) == b"hash", "it was replaced")
        with pytest.raises(JobFailed, match="CorruptRecord"):
            bad.result(timeout=10)


def test_a_record_that_is_damaged_while_its_job_runs_does_not_cost_its_neighbours_their_results(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    everybody = threading.Barrier(4, timeout=20)

    @mill.task()
    def meet(number: int) -> int:
        everybody.wait()
        everybody.wait()
        return number

    with running_worker(mill):
        jobs = [meet.enqueue(number) for number in range(3)]
        everybody.wait()
        key = mill.client.scripts.keys.job(jobs[1].id)
        server.client.delete(key)
        server.client.set(key, "mine")
        everybody.wait()
        assert [jobs[0].result(timeout=10), jobs[2].result(timeout=10)] == [0, 2]
        eventually(lambda: f"job={jobs[1].id}" in caplog.text, "it was logged")
    assert "result refused" in caplog.text


class _Refused(Scripts):
    """The server answers the settlement of one job with an error that no script of ours gives."""

    job_id = ""

    def complete(
        self,
        incarnation: str,
        queue: str,
        lane: str,
        jobs: Sequence[tuple[str, str, int, bytes]],
        now_ms: Argument = "",
    ) -> Command[list[int]]:
        if any(job[0] == self.job_id for job in jobs):
            return Command(("NO-SUCH-COMMAND",), lambda _: [])
        return super().complete(incarnation, queue, lane, jobs, now_ms)


def test_a_settlement_that_the_server_refuses_does_not_cost_the_neighbours_their_results(
    mill: Tidemill, caplog: pytest.LogCaptureFixture
) -> None:
    everybody = threading.Barrier(4, timeout=20)

    @mill.task()
    async def meet(number: int) -> int:  # all end in one step of the loop, so that they are settled together
        await asyncio.to_thread(everybody.wait)
        return number

    mill.client.scripts = scripts = _Refused(mill.client.scripts.keys)
    with running_worker(mill):
        jobs = [meet.enqueue(number) for number in range(3)]
        scripts.job_id = jobs[1].id
        everybody.wait()
        assert [jobs[0].result(timeout=10), jobs[2].result(timeout=10)] == [0, 2]
        eventually(lambda: "record is not one that Tidemill wrote" in caplog.text, "it was logged")
        assert f"job={jobs[1].id}" in caplog.text
        assert jobs[1].refresh().state == "running"


def test_a_ticket_without_a_job_disappears(mill: Tidemill, server: Server) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    stream = mill.client.scripts.keys.ready("default", "normal")
    server.client.xadd(stream, {"j": "nobody"})
    server.client.xadd(stream, {"anything": "else", "at": "all"})
    with running_fleet(mill):
        assert add.enqueue(1, 2).result(timeout=10) == 3
        eventually(lambda: server.client.xlen(stream) == 0, "the stream is empty")
