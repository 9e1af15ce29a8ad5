"""A queue over a limit, with `on_full="shed"`: who goes, who learns of it, and that nothing else is lost or left."""

from __future__ import annotations

import logging

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import InvalidInput, Job, JobExpired, QueueFull, Tidemill, call
from tidemill.options import Priority
from tidemill.task import Task
from tidemill_scheduler import settings


@pytest.fixture
def noop(mill: Tidemill) -> Task[[], None]:
    @mill.task(name="noop", queue="q")
    def noop() -> None: ...

    return noop


def _fill(mill: Tidemill, noop: Task[[], None], priority: Priority = "normal", limit: int = 3) -> list[Job[None]]:
    mill.inspect.limit("q", limit)
    return noop.using(priority=priority).enqueue_many([call() for _ in range(limit)])


def _states(jobs: list[Job[None]]) -> list[str]:
    return [str(job.refresh().state) for job in jobs]


def test_the_lowest_priority_makes_room_and_its_producer_is_told_why(mill: Tidemill, noop: Task[[], None]) -> None:
    low = _fill(mill, noop, "low")
    with running_scheduler(mill):
        urgent = noop.using(on_full="shed", priority="high").enqueue()
        with pytest.raises(JobExpired, match="it was dropped while it waited: its queue was at a limit") as caught:
            low[0].result(timeout=20)
    assert caught.value.error.type == "shed"
    assert _states([urgent, *low]) == ["ready", "expired", "ready", "ready"]
    counters = mill.inspect.queue("q").counters
    assert (counters["shed"], counters["expired"]) == ("1", "1")


def test_one_that_is_itself_the_lowest_is_dropped_at_once(mill: Tidemill, noop: Task[[], None]) -> None:
    jobs = _fill(mill, noop)
    with running_scheduler(mill):
        late = noop.using(on_full="shed", priority="low").enqueue()
        with pytest.raises(JobExpired, match="dropped"):
            late.result(timeout=20)
    assert _states(jobs) == 3 * ["ready"]


def test_what_runs_stays_and_what_got_in_runs(mill: Tidemill, noop: Task[[], None]) -> None:
    jobs = _fill(mill, noop, limit=20)
    with running_scheduler(mill), running_worker(mill):
        late = [noop.using(on_full="shed").enqueue() for _ in range(20)]
        eventually(lambda: all(job.refresh().state.is_over for job in [*jobs, *late]), "all are over")
    states = _states([*jobs, *late])
    assert set(states) <= {"succeeded", "expired"}
    assert states[-1] == "succeeded", "the newest is the last to go"


def test_where_all_that_is_held_runs_no_reader_is_left_behind(
    mill: Tidemill, noop: Task[[], None], server: Server
) -> None:
    jobs = _fill(mill, noop)
    scripts, link = mill.client.scripts, mill.client.link
    link.run(scripts.register("w1", 60_000, ["q"], {}, {"pid": "1"}))
    link.run(scripts.take("w1", ["q"], 3))
    low = noop.using(on_full="shed", priority="low").enqueue()
    normal = noop.using(on_full="shed").enqueue()
    with running_scheduler(mill):
        eventually(lambda: {*_states([low, normal])} == {"expired"}, "both have gone")
        noop.using(on_full="shed", priority="low").enqueue()
        eventually(lambda: mill.inspect.queue("q").counters["shed"] == "3", "so has the next")
    for lane in scripts.keys.lanes("q"):
        assert {one["name"] for one in server.client.xinfo_consumers(lane, "tidemill")} <= {b"w1"}
    assert _states(jobs) == 3 * ["running"]


def test_a_flood_leaves_no_ticket_and_no_reader_behind_and_the_lag_is_right(
    mill: Tidemill, noop: Task[[], None], server: Server
) -> None:
    limit, flood = 20, 2_000
    _fill(mill, noop, "low", limit)
    with running_scheduler(mill):
        task, admitted = noop.using(on_full="shed", priority="low"), 0
        while admitted < flood:
            try:
                admitted += len(task.enqueue_many([call() for _ in range(10)]))
            except QueueFull:  # the scheduler is behind
                eventually(lambda: mill.inspect.queue("q").waiting <= limit, "it has caught up")
        eventually(lambda: mill.inspect.queue("q").waiting == limit, "what is too many has gone")
        eventually(lambda: mill.inspect.queue("q").counters.get("shed") == str(flood), "and is counted")
    lane = mill.client.scripts.keys.ready("q", "low")
    (group,) = server.client.xinfo_groups(lane)
    assert (group["consumers"], group["pending"], group["lag"]) == (0, 0, limit)
    assert server.client.xlen(lane) == limit
    assert not server.client.exists(mill.client.scripts.keys.watched)


def test_with_no_scheduler_a_queue_takes_twice_its_limit_and_no_more(mill: Tidemill, noop: Task[[], None]) -> None:
    jobs = _fill(mill, noop, "low", limit=4)
    task = noop.using(on_full="shed")
    late = [task.enqueue() for _ in range(4)]
    with pytest.raises(QueueFull):
        task.enqueue()
    with running_scheduler(mill):
        eventually(lambda: mill.inspect.queue("q").waiting == 4, "what is too many has gone")
    assert _states([*jobs, *late]) == 4 * ["expired"] + 4 * ["ready"]


def test_a_delayed_job_takes_nobodys_place(mill: Tidemill, noop: Task[[], None]) -> None:
    _fill(mill, noop, "low")
    with pytest.raises(QueueFull):
        noop.using(on_full="shed", delay=60, priority="high").enqueue()


def test_shedding_is_logged_with_its_reason(
    mill: Tidemill, noop: Task[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    _fill(mill, noop)
    noop.using(on_full="shed").enqueue()
    with caplog.at_level(logging.WARNING, "tidemill.job"), running_scheduler(mill):
        eventually(lambda: "reason=jobs count=1" in caplog.text, "it is logged")
    assert "jobs dropped: other jobs took their place in a full queue queue=q" in caplog.text


def test_what_the_server_refuses_for_one_queue_does_not_keep_another(
    mill: Tidemill, noop: Task[[], None], server: Server
) -> None:
    mill.inspect.limit("broken", age_seconds=1)
    server.client.set(mill.client.scripts.keys.ready("broken", "low"), "foreign")
    jobs = _fill(mill, noop)
    noop.using(on_full="shed").enqueue()
    with running_scheduler(mill):
        eventually(lambda: jobs[0].refresh().state == "expired", "it has gone")
    server.client.delete(mill.client.scripts.keys.ready("broken", "low"))


def test_a_queue_whose_oldest_job_waits_too_long_is_full_until_it_is_taken(
    mill: Tidemill, noop: Task[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "AGE_LOOK_MS", 20)
    mill.inspect.limit("q", age_seconds=1)
    with running_scheduler(mill):
        noop.enqueue()
        refused = eventually(lambda: _refusal(noop.using(delay=60)), "the oldest is too old")
        assert "queue 'q' is behind: its oldest job has waited for" in str(refused)
        with running_worker(mill):
            eventually(lambda: _refusal(noop.using(delay=60)) is None, "none is old any more")


def _refusal(task: Task[[], None]) -> QueueFull | None:
    try:
        task.enqueue()
    except QueueFull as error:
        return error
    return None


def test_an_old_queue_sheds_the_oldest_and_is_young_again(
    mill: Tidemill, noop: Task[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "AGE_LOOK_MS", 20)
    mill.inspect.limit("q", age_seconds=1)
    with running_scheduler(mill):
        old = noop.enqueue()
        eventually(lambda: _refusal(noop.using(delay=60)), "the oldest is too old")
        new = noop.using(on_full="shed").enqueue()
        eventually(lambda: old.refresh().state == "expired", "the old one has gone")
        assert new.refresh().state == "ready"


def test_a_queue_without_a_limit_by_age_is_watched_no_more(mill: Tidemill, server: Server) -> None:
    mill.inspect.limit("q", age_seconds=1)
    with running_scheduler(mill):
        eventually(lambda: "oldest" in mill.inspect.queue("q").counters, "it is looked at")
        mill.inspect.limit("q")
        eventually(lambda: not server.client.exists(mill.client.scripts.keys.watched), "it is watched no more")


def test_a_scheduler_that_has_gone_makes_no_queue_full(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", age_seconds=1)
    changes = {"oldest": f"99999 {mill.client.link.run(mill.client.scripts.server_time()) - 6_000}"}
    mill.client.link.run(mill.client.scripts.configure("q", changes))
    assert noop.enqueue().pressure == 0.0


@pytest.mark.parametrize("age_seconds", [0, -1, 0.5, float("nan"), "30s"])
def test_an_age_that_makes_no_sense_is_refused(mill: Tidemill, age_seconds: float) -> None:
    with pytest.raises(InvalidInput, match="age_seconds"):
        mill.inspect.limit("q", age_seconds=age_seconds)
