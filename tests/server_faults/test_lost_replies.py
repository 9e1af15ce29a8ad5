"""A reply is lost after the server has applied the request: whichever script it was, the call is sent again, and
nothing happens twice."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from proxy import Proxy
from server_faults.lives import LEASE, LIVES, WAIT_SECONDS, Life
from servers import Server
from tidemill import Tidemill
from tidemill.wire.keys import Keys
from tidemill.wire.script import load, names
from tidemill_scheduler import settings as scheduler_settings

CALLS = [(life, script) for life, scripts in LIVES.items() for script in scripts]
# Of the same job, at most one of these is true.
ENDS = ("complete", "expire", "cancel")


def load_all(server: Server) -> None:
    """Otherwise the first reply that is lost would be a NOSCRIPT."""
    for name in names():
        server.client.execute_command("SCRIPT", "LOAD", load(name).text)


def ends_of_jobs(server: Server) -> Counter[str]:
    """How often each job has come to an end."""
    found: Counter[str] = Counter()
    for _, fields in server.client.xrange(Keys().events):
        if fields[b"event"].decode() in ENDS:
            found.update(fields[b"jobs"].decode().split())
    return found


@pytest.mark.interrupts
@pytest.mark.parametrize(("life", "script"), CALLS, ids=[script for _, script in CALLS])
def test_a_reply_that_is_lost_costs_nothing_and_nothing_happens_twice(
    server: Server, url: str, life: Life, script: str
) -> None:
    load_all(server)
    with Proxy(server, load(script).sha.encode()) as proxy, Tidemill(proxy.url) as mill:
        proxy.lose_replies(2)
        runs = life(mill)
        assert proxy.requests > 2, "two replies were lost, and the call was made again"
    assert {task: ran for task, (ran, _) in runs.items()} == {task: wanted for task, (_, wanted) in runs.items()}
    ends = ends_of_jobs(server)
    assert ends
    assert set(ends.values()) == {1}, "each job ended once"


def test_a_lost_reply_of_a_recovery_does_not_make_a_job_run_twice(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_settings, "IDLE_MS", 200)
    load_all(server)
    runs: list[int] = []
    with Proxy(server, load("recover").sha.encode()) as proxy, Tidemill(url) as mill, Tidemill(proxy.url) as behind:

        @mill.task()
        def work(number: int) -> int:
            runs.append(number)
            return number

        jobs = [work.enqueue(number) for number in range(3)]
        scripts, link = mill.client.scripts, mill.client.link
        # A worker that dies as soon as it has taken them.
        link.run(scripts.register("dead", 500, ["default"], {}, {"lease_ms": "500"}))
        taken = link.run(scripts.take("dead", ("default",), 3))
        assert taken
        assert len(taken.jobs) == 3
        proxy.lose_replies(2)
        with running_scheduler(behind), running_worker(mill, LEASE):
            assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == [0, 1, 2]
        assert proxy.requests > 2
    assert sorted(runs) == [0, 1, 2]
    assert [job.refresh().record.crashes for job in jobs] == [1, 1, 1], "a crash is counted once"


@pytest.mark.parametrize("script", ["take", "complete"])
def test_replies_that_are_lost_again_and_again_under_load_cost_no_job(server: Server, url: str, script: str) -> None:
    load_all(server)
    lock = threading.Lock()
    runs: Counter[int] = Counter()
    with Proxy(server, load(script).sha.encode()) as proxy, Tidemill(proxy.url) as mill, Tidemill(url) as direct:

        @mill.task()
        def work(number: int) -> int:
            with lock:
                runs[number] += 1
            return number

        named = direct.named(work.name)
        with running_worker(mill, LEASE):
            for wave in range(8):
                proxy.lose_replies(1)
                jobs = [named.enqueue(number) for number in range(wave * 20, wave * 20 + 20)]
                assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == list(range(wave * 20, wave * 20 + 20))
        eventually(lambda: direct.inspect.queue("default").running == 0, "all is settled")
    assert runs == dict.fromkeys(range(160), 1)
    assert set(ends_of_jobs(server).values()) == {1}


@pytest.mark.parametrize("position", [1, 60, 200])
def test_a_request_that_is_cut_off_within_is_sent_again(server: Server, url: str, position: int) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url) as mill:
        mill.enqueue("a.task")
        proxy.cut_request(position)
        assert mill.enqueue("a.task").state == "ready"
        jobs = mill.named("a.task")
        proxy.cut_request(position)
        jobs.enqueue_in(60)
    assert len([key for key in server.all_keys() if ":job:" in key]) == 3
