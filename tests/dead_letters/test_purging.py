"""Dead letters are removed by age or by any other filter."""

from __future__ import annotations

from datetime import timedelta

from dead_letters.letters import leave, make_letters
from servers import Server
from tidemill import RemoteError, Tidemill

DAY_MS = 86_400_000


def test_those_that_are_older_go_and_the_others_stay(mill: Tidemill, server: Server) -> None:
    now_ms = mill.client.link.run(mill.client.scripts.server_time())
    old = make_letters(mill, 130, died_ms=now_ms - 31 * DAY_MS)
    others = [*make_letters(mill, 1, died_ms=now_ms - 31 * DAY_MS, queue="other"), *make_letters(mill, 1)]
    which = {"queue": "default", "before": timedelta(days=30)}
    counted = mill.dead_letters.purge(dry_run=True, queue="default", before=timedelta(days=30))
    assert (counted.matched, counted.done) == (130, 0)
    assert mill.inspect.queue("default").dead == 131
    assert mill.dead_letters.actions() == ()
    removed = mill.dead_letters.purge(queue="default", before=timedelta(days=30), by="ann", reason="a month")
    assert (removed.matched, removed.done, removed.skipped) == (130, 130, {}), which
    left = {key.rpartition(":")[2] for key in server.all_keys() if ":job:" in key}
    assert left == set(others)
    noted = {job_id for action in mill.dead_letters.actions(operation=removed.operation) for job_id in action.jobs}
    assert noted == set(old)
    for queue in ("default", "other"):
        leave(mill, queue)
    assert mill.doctor().healthy


def test_a_filter_of_any_kind_removes(mill: Tidemill) -> None:
    make_letters(mill, 2, error=RemoteError("KeyError", "x"))
    make_letters(mill, 3)
    assert mill.dead_letters.purge(error="KeyError").done == 2
    assert mill.dead_letters.purge(before=timedelta(0)).done == 3


def test_a_record_that_no_tidemill_wrote_can_be_removed(mill: Tidemill, server: Server) -> None:
    first, second = make_letters(mill, 2)
    server.client.set(mill.client.scripts.keys.job(first), "text")
    server.client.hset(mill.client.scripts.keys.job(second), "e", b"\xc1")
    assert mill.dead_letters.counts() == {"": 1, "CorruptRecord": 1}
    assert mill.dead_letters.purge(error="CorruptRecord").done == 1
    assert mill.dead_letters.purge(queue="default").done == 1
    leave(mill)
    assert mill.doctor().healthy
