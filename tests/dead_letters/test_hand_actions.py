"""What was done by hand is kept: who, when, why, and to which jobs; and what is still known of a job."""

from __future__ import annotations

import getpass
import re
import socket

import pytest

from dead_letters.letters import kill_again, make_letters
from servers import Server
from tidemill import InvalidInput, JobNotFound, Tidemill
from tidemill.dead_letters import hands
from tidemill.errors import TidemillError


def test_every_kind_of_action_is_kept_with_who_when_and_why(mill: Tidemill, server: Server) -> None:
    first, second, third, fourth = make_letters(mill, 4)
    before_ms = mill.client.link.run(mill.client.scripts.server_time())
    mill.job(first).retry()
    mill.dead_letters.retry(second, args=[1], by="ann", reason="a typing error")
    bulk = mill.dead_letters.retry_all(queue="default", text="picture", limit=1, by="bob", reason="the disk is back")
    purge = mill.dead_letters.purge(queue="default", by="ann")
    after_ms = mill.client.link.run(mill.client.scripts.server_time())
    found = mill.dead_letters.actions()
    assert [(one.action, one.by, one.reason) for one in found] == [
        ("purge", "ann", ""),
        ("retry", "bob", "the disk is back"),
        ("edit", "ann", "a typing error"),
        ("retry", f"{getpass.getuser()}@{socket.gethostname()}", ""),
    ]
    assert [one.filter for one in found] == ["queue='default'", "queue='default' text='picture'", "", ""]
    assert {*found[0].jobs, *found[1].jobs} == {third, fourth}
    assert [one.jobs for one in found[2:]] == [(second,), (first,)]
    assert all(before_ms <= one.at_ms <= after_ms for one in found)
    assert [one.action for one in mill.dead_letters.actions(operation=bulk.operation)] == ["retry"]
    assert mill.dead_letters.actions(operation=purge.operation) == found[:1]
    assert mill.dead_letters.actions(job_id=second) == found[2:3]
    assert mill.dead_letters.actions(limit=2) == found[:2]
    with pytest.raises(InvalidInput, match="limit must be a whole number from 1 to 100000, not 0"):
        mill.dead_letters.actions(limit=0)


def test_an_action_that_did_nothing_is_not_kept(mill: Tidemill) -> None:
    job = mill.named("a.task").using(delay=60).enqueue()
    with pytest.raises(InvalidInput):
        job.retry()
    mill.dead_letters.retry_all(queue="default")
    mill.dead_letters.purge(queue="default")
    assert mill.dead_letters.actions() == ()


def test_what_can_not_be_recorded_is_not_done(mill: Tidemill, server: Server) -> None:
    (job_id,) = make_letters(mill, 1)
    server.client.set(mill.client.scripts.keys.audit, "foreign")
    for change in (
        lambda: mill.job(job_id).retry(),
        lambda: mill.dead_letters.retry_all(queue="default"),
        lambda: mill.dead_letters.purge(queue="default"),
    ):
        with pytest.raises(TidemillError, match=r"audit holds a string, not a stream"):
            change()
    assert mill.job(job_id).state == "dead"


def test_the_audit_is_bounded(mill: Tidemill, server: Server) -> None:
    key = mill.client.scripts.keys.audit
    pipe = server.client.pipeline(transaction=False)
    for _ in range(6_000):
        pipe.xadd(
            key, {"action": "retry", "at": 1, "by": "b", "reason": "", "operation": "", "filter": "", "jobs": "x"}
        )
    pipe.execute()
    (job_id,) = make_letters(mill, 1)
    mill.job(job_id).retry()
    assert 5_000 <= server.client.xlen(key) <= 5_100
    assert mill.dead_letters.actions(limit=1)[0].jobs == (job_id,)


def test_the_history_of_a_job_has_its_record_its_events_and_what_was_done_by_hand(mill: Tidemill) -> None:
    (job_id,) = make_letters(mill, 1)
    mill.job(job_id).retry(by="ann")
    kill_again(mill, [job_id])
    found = mill.dead_letters.history(job_id)
    assert found.record is not None
    assert (found.record.state, found.record.attempt, found.record.crashes) == ("dead", 2, 0)
    assert found.record.error is not None
    assert found.record.error.message == "again"
    assert [(one.action, one.by) for one in found.actions] == [("retry", "ann")]
    assert [one.name for one in found.events] == ["bury", "requeue", "bury"]
    assert all(one.at_ms > 0 for one in found.events)


def test_the_history_of_a_job_that_was_removed_says_by_whom(mill: Tidemill) -> None:
    (job_id,) = make_letters(mill, 1)
    mill.dead_letters.purge(queue="default", by="ann", reason="asked for")
    found = mill.dead_letters.history(job_id)
    assert found.record is None
    assert [(one.action, one.by, one.reason) for one in found.actions] == [("purge", "ann", "asked for")]
    assert found.events[0].name == "discard"
    with pytest.raises(JobNotFound):
        mill.job(job_id)
    with pytest.raises(JobNotFound, match="job nobody is not known"):
        mill.dead_letters.history("nobody")
    with pytest.raises(InvalidInput, match=re.escape("job id 'no body' is not valid")):
        mill.dead_letters.history("no body")


def test_a_user_without_a_name_is_called_by_his_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr(socket, "gethostname", lambda: "a\nhost" + "x" * 200)
    hands.who.cache_clear()
    try:
        assert re.fullmatch(r"uid\d+@a\?hostx+", hands.who())
        assert len(hands.who()) == 128
    finally:
        hands.who.cache_clear()
