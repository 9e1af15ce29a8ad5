"""Waiting for a result sends nothing while there is none."""

from __future__ import annotations

import threading

import pytest

from commands_seen import commands_during
from conditions import eventually
from servers import Server
from tidemill import JobCancelled, Tidemill
from tidemill.waiter import Waiter


def test_the_first_who_waits_is_not_woken_for_nothing(mill: Tidemill) -> None:
    waiter = Waiter(mill.client.target, mill.client.scripts.keys)
    wakeup = waiter.register("a job")
    wakeup.until_heard(10)
    assert wakeup.is_heard
    assert not wakeup.wait(0.2)
    waiter.close()
    assert wakeup.wait(10)


def test_a_process_that_waits_for_a_result_sends_nothing_meanwhile(mill: Tidemill, server: Server) -> None:
    @mill.task()
    def never() -> None: ...

    job, other = never.enqueue(), mill.enqueue("tests.somebody_else")
    ends: list[BaseException] = []

    def wait() -> None:
        try:
            mill.job(job.id).result(timeout=30)
        except JobCancelled as error:
            ends.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    record = mill.client.scripts.keys.job(job.id)
    eventually(lambda: server.client.hexists(record, "w"), "it waits")
    assert commands_during(server, 1.0) == []
    with pytest.raises(TimeoutError):
        other.result(timeout=0.05)
    with Tidemill(mill.url) as elsewhere:
        elsewhere.job(job.id).cancel()
    thread.join(10)
    assert len(ends) == 1
