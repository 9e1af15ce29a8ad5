"""Recurring jobs: one job an occurrence, whoever keeps the time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server

from tidemill import Tidemill
from tidemill.recurring import Recurring


def _ids(server: Server) -> set[str]:
    return {key.rpartition("job:")[2] for key in server.all_keys() if ":job:every:" in key}


def _set_due(server: Server, name: str, milliseconds_ago: int) -> int:
    due_ms = int(time.time() * 1000) - milliseconds_ago
    due_ms -= due_ms % 60_000
    server.client.zadd("tm:{0}:occurrences", {name: due_ms})
    return due_ms


def _declare(mill: Tidemill, missed: str) -> Recurring:
    @mill.task(name="tick")
    def tick() -> None:
        pass

    return mill.every("* * * * *", tick, missed=missed)  # type: ignore[arg-type]  # one of the three, by the test


def test_three_schedulers_make_one_job_of_each_occurrence(mill: Tidemill, server: Server) -> None:
    runs: list[float] = []
    enough = threading.Event()

    @mill.task()
    def beat() -> None:
        runs.append(time.time())
        if len(runs) == 3:
            enough.set()

    declared = mill.every(timedelta(seconds=1), beat)
    with running_worker(mill), running_scheduler(mill), running_scheduler(mill), running_scheduler(mill):
        assert enough.wait(20)
    ids = _ids(server)
    assert len(ids) == len(runs)
    assert all(int(job_id.rpartition(":")[2]) % 1000 == 0 for job_id in ids)
    assert all(job_id.startswith(f"every:{declared.name}:") for job_id in ids)


def test_after_an_outage_one_job_stands_for_all_that_were_missed(mill: Tidemill, server: Server) -> None:
    declared = _declare(mill, "once")
    due_ms = _set_due(server, declared.name, 10 * 60_000)
    with running_scheduler(mill):
        eventually(lambda: _ids(server), "the occurrence is made")
        eventually(lambda: server.client.zscore("tm:{0}:occurrences", declared.name) > due_ms, "the next one is set")
    assert len(_ids(server)) == 1


def test_after_an_outage_each_missed_occurrence_is_made_if_so_declared(mill: Tidemill, server: Server) -> None:
    declared = _declare(mill, "all")
    _set_due(server, declared.name, 10 * 60_000)
    with running_scheduler(mill):
        eventually(lambda: len(_ids(server)) >= 10, "all of them are made")


def test_after_an_outage_missed_occurrences_are_skipped_if_so_declared(mill: Tidemill, server: Server) -> None:
    declared = _declare(mill, "skip")
    _set_due(server, declared.name, 10 * 60_000)
    now_ms = time.time() * 1000
    with running_scheduler(mill):
        eventually(lambda: server.client.zscore("tm:{0}:occurrences", declared.name) > now_ms, "the next one is set")
    # The newest occurrence may be less than a minute old: that one is late, not missed.
    assert len(_ids(server)) <= 1


def test_a_definition_that_can_not_be_read_does_not_stop_the_others(mill: Tidemill, server: Server) -> None:
    declared = _declare(mill, "once")
    server.client.hset("tm:{0}:recurring", "broken", b"\xc1 not ours")
    _set_due(server, "broken", 60_000)
    _set_due(server, declared.name, 60_000)
    with running_scheduler(mill):
        eventually(lambda: _ids(server), "the healthy one is made")
        in_half_an_hour = (time.time() + 1800) * 1000
        eventually(lambda: server.client.zscore("tm:{0}:occurrences", "broken") > in_half_an_hour, "it is put off")
    assert server.client.hexists("tm:{0}:recurring", "broken"), "what can't be read is not thrown away"


def test_an_occurrence_without_a_definition_is_forgotten(mill: Tidemill, server: Server) -> None:
    _set_due(server, "gone", 60_000)
    with running_scheduler(mill):
        eventually(lambda: server.client.zscore("tm:{0}:occurrences", "gone") is None, "it is removed")
    assert not _ids(server)
