"""A client is shared by threads, coroutines and event loops, and not by forks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from client.counting import job_count
from proxy import Proxy
from servers import Server
from tidemill import (
    Tidemill,
)


def test_threads_share_a_client(mill: Tidemill, server: Server) -> None:
    named = mill.named("a.task")
    with ThreadPoolExecutor(8) as threads:
        jobs = list(threads.map(named.enqueue, range(200)))
    assert len({job.id for job in jobs}) == job_count(server) == 200
    bodies = {mill.codec.decode_call(job.record.body)[0][0] for job in jobs}
    assert bodies == set(range(200)), "no thread got another's answer"


def test_event_loops_one_after_the_other_share_a_client(mill: Tidemill, server: Server) -> None:
    async def once(number: int) -> str:
        job = await mill.aenqueue("a.task", number)
        await job.arefresh()
        await mill.aclose()
        return job.id

    ids = {asyncio.run(once(number)) for number in range(3)}
    assert len(ids) == job_count(server) == 3
    assert mill.enqueue("a.task").state == "ready"


_LOOPS = """
import asyncio, sys
from tidemill import Tidemill
mill = Tidemill(sys.argv[1])
for _ in range(3):
    asyncio.run(mill.aenqueue("a.task"))
print(len(mill.client.async_link._pools))
"""


def test_event_loops_that_ended_without_closing_are_forgotten(url: str) -> None:
    # In a process of its own: what asyncio warns of then must not fall on another test.
    run = subprocess.run([sys.executable, "-c", _LOOPS, url], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"


async def test_coroutines_share_a_bounded_number_of_connections(server: Server, url: str) -> None:
    with Proxy(server) as proxy:
        async with Tidemill(proxy.url) as mill:
            jobs = await asyncio.gather(*(mill.aenqueue("a.task", number) for number in range(300)))
            assert len({job.id for job in jobs}) == 300
            assert proxy.connections <= 16


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_share_its_parents_connections(mill: Tidemill, server: Server) -> None:
    mill.enqueue("a.task", "before")
    children: list[int] = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(25):
                    mill.enqueue("a.task", number).refresh()
                mill.close()
                os._exit(0)
            except BaseException:  # noqa: BLE001 - a child of a test must not run the rest of the tests
                os._exit(1)
        children.append(child)
    parents = [mill.enqueue("a.task", "parent").refresh().id for _ in range(25)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert len(set(parents)) == 25
    assert job_count(server) == 1 + 25 + 100
