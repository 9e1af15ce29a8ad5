"""The product under the shipped ACL file: each part, as its own user, does its whole job and is refused nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from conditions import eventually
from security import roles_app
from security.guarded import GuardedServer
from tidemill import JobCancelled, JobFailed, Tidemill, call
from tidemill.errors import ServerUnsuitable
from worker.processes import Command, running

SECONDS = 60


@pytest.fixture
def producer(guarded: GuardedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application's tasks, as a producer has them."""
    monkeypatch.setenv("TIDEMILL_URL", guarded.url_of("producer"))
    yield roles_app.mill
    roles_app.mill.close()


@pytest.fixture
def fleet(guarded: GuardedServer, producer: Tidemill, tmp_path: Path) -> Iterator[tuple[Command, Command]]:
    """A worker and a scheduler as processes, each as its own user."""
    worker_url, scheduler_url = guarded.url_of("worker"), guarded.url_of("scheduler")
    app = ("worker", "security.roles_app:mill", "--lease", "4", "--grace", "1", "--child-processes", "1")
    with (
        running(tmp_path / "worker.log", worker_url, *app) as worker,
        running(tmp_path / "scheduler.log", scheduler_url, "scheduler") as scheduler,
    ):
        yield worker, scheduler


def has_ended(job_id: str, producer: Tidemill, state: str) -> bool:
    return producer.job(job_id).state == state


@pytest.mark.interrupts
def test_every_part_of_a_jobs_life_is_allowed(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command]
) -> None:
    app = roles_app
    assert app.add.enqueue(1, 2).result(SECONDS) == 3
    assert app.add_async.enqueue(1, 2).result(SECONDS) == 3
    assert app.add_in_child.enqueue(1, 2).result(SECONDS) == 3
    assert app.enqueues.enqueue().result(SECONDS) == 5
    assert app.add.enqueue_in(0.1, 2, 2).result(SECONDS) == 4
    assert app.fails_once.enqueue().result(SECONDS) == "attempt 2"
    assert [job.result(SECONDS) for job in app.add.enqueue_many([call(1, 1), call(2, 2)])] == [2, 4]
    assert app.add.using(unique="u", expires=60, priority="high").enqueue(3, 4).result(SECONDS) == 7
    with pytest.raises(JobFailed, match="always"):
        app.fails.enqueue().result(SECONDS)
    running_job = app.waits.enqueue()
    eventually(lambda: has_ended(running_job.id, producer, "running"), "it runs", SECONDS)
    assert running_job.cancel()
    with pytest.raises(JobCancelled):
        running_job.result(SECONDS)
    waiting = app.add.enqueue_in(3_600, 1, 1)
    assert waiting.cancel()
    late = app.add.using(delay=0.2, expires=0.1).enqueue(1, 1)
    eventually(lambda: has_ended(late.id, producer, "expired"), "it expires", SECONDS)
    unknown = producer.named("nobody.knows").using(queue="default").enqueue()
    eventually(lambda: producer.job(unknown.id).record.parked, "it is parked", SECONDS)
    assert guarded.denials() == []


def test_recurring_jobs_are_published_made_and_removed(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command]
) -> None:
    producer.every(timedelta(seconds=1), roles_app.add, args=(1, 1), name="often")
    events = guarded.client_of("dashboard")
    eventually(lambda: b"every:often:" in str(events.xrange("tm:{0}:events")).encode(), "an occurrence ran", SECONDS)
    assert producer.remove_recurring("often")
    assert guarded.denials() == []


@pytest.mark.interrupts
def test_a_lost_workers_jobs_are_recovered_and_a_stopped_ones_handed_back(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command], tmp_path: Path
) -> None:
    worker, scheduler = fleet
    job = roles_app.waits.enqueue()
    eventually(lambda: has_ended(job.id, producer, "running"), "it runs", SECONDS)
    worker.send(15)
    assert worker.wait(SECONDS) == 0
    assert has_ended(job.id, producer, "ready")
    killed = roles_app.kills_its_worker.using(queue="suspects").enqueue()
    app = ("worker", "security.roles_app:mill", "--queues", "suspects", "--lease", "1")
    with running(tmp_path / "second.log", guarded.url_of("worker"), *app):
        eventually(lambda: producer.job(killed.id).record.crashes > 0, "it was recovered", SECONDS)
    scheduler.send(15)
    assert scheduler.wait(SECONDS) == 0
    assert guarded.denials() == []


def test_a_dashboard_sees_queues_workers_and_events_and_no_jobs(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command]
) -> None:
    roles_app.add.enqueue(1, 2).result(SECONDS)
    with Tidemill(guarded.url_of("dashboard")) as dashboard:
        assert "default" in [figures.queue for figures in dashboard.inspect.queues()]
        assert dashboard.inspect.queue("default").finished >= 1
        assert dashboard.inspect.workers()[0].description["pid"]
        assert guarded.denials() == []
        with pytest.raises(ServerUnsuitable, match="refuses this user"):
            dashboard.inspect.jobs("default")


def test_an_operator_reads_jobs_and_steers(guarded: GuardedServer, producer: Tidemill) -> None:
    waiting = roles_app.add.enqueue_in(3_600, 1, 2)
    with Tidemill(guarded.url_of("operator")) as operator:
        assert [job.id for job in operator.inspect.jobs("default")] == [waiting.id]
        operator.inspect.pause("default")
        operator.inspect.resume("default")
        operator.inspect.limit("default", 10)
        assert operator.inspect.purge("default") == 1
        assert operator.inspect.workers() == []
        operator.doctor(repair=True)
    assert guarded.denials() == []


def test_an_operator_retries_a_dead_letter(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command]
) -> None:
    job = roles_app.fails.enqueue()
    with pytest.raises(JobFailed):
        job.result(SECONDS)
    with Tidemill(guarded.url_of("operator")) as operator:
        retried = operator.job(job.id).retry()
        eventually(lambda: has_ended(retried.id, operator, "dead"), "it failed again", SECONDS)
    assert guarded.denials() == []


def test_an_operator_does_all_that_can_be_done_to_dead_letters_and_can_not_change_what_was_noted(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command]
) -> None:
    jobs = [roles_app.fails.enqueue() for _ in range(3)]
    for job in jobs:
        with pytest.raises(JobFailed):
            job.result(SECONDS)
    with Tidemill(guarded.url_of("operator")) as operator:
        letters = operator.dead_letters
        assert sum(letters.counts().values()) == len(letters.browse().letters) == 3
        letters.retry(jobs[0].id, args=[], kwargs={})
        eventually(lambda: has_ended(jobs[0].id, operator, "dead"), "it failed again", SECONDS)
        assert letters.retry_all(before=timedelta(0)).done == 3
        eventually(lambda: all(has_ended(job.id, operator, "dead") for job in jobs), "they failed again", SECONDS)
        assert letters.purge(before=timedelta(0)).done == 3
        assert [one.action for one in letters.history(jobs[0].id).actions] == ["purge", "retry", "edit"]
    assert guarded.denials() == []
    audit = "tm:{0}:audit"
    client = guarded.client_of("operator")
    for forbidden in (("DEL", audit), ("XTRIM", audit, "MAXLEN", "0"), ("XDEL", audit, "1-1"), ("SET", audit, "x")):
        with pytest.raises(redis.RedisError, match=r"(?i)no permissions"):
            client.execute_command(*forbidden)
    client.close()
    guarded.denials()


@pytest.mark.parametrize("role", ["producer", "worker", "scheduler", "dashboard"])
def test_nobody_else_looks_into_dead_letters_or_touches_them(
    guarded: GuardedServer, producer: Tidemill, fleet: tuple[Command, Command], role: str
) -> None:
    job = roles_app.fails.enqueue()
    with pytest.raises(JobFailed):
        job.result(SECONDS)
    with Tidemill(guarded.url_of(role)) as other:
        for action in (
            other.dead_letters.browse,
            lambda: other.dead_letters.retry(job.id),
            lambda: other.dead_letters.purge(queue="default"),
            other.dead_letters.actions,
        ):
            with pytest.raises(ServerUnsuitable, match="refuses this user"):
                action()
    assert has_ended(job.id, producer, "dead")
    guarded.denials()


def test_templates_are_published_by_producers_steered_by_operators_and_read_by_nobody_else(
    guarded: GuardedServer, producer: Tidemill
) -> None:
    for size in (1, 2):
        producer.template("resize", task="app.resize", defaults={"size": size}).enqueue()
    with Tidemill(guarded.url_of("operator")) as operator, Tidemill(guarded.url_of("worker")) as worker:
        assert operator.templates.diff("resize", 1, 2).changes[0].path == "defaults.size"
        operator.templates.label("resize", "stable", 2, 1)
        operator.templates.unlabel("resize", "stable")
        operator.templates.retire("resize", 2)
        operator.templates.restore("resize", 2)
        assert worker.templates.show("resize").defaults == {"size": 2}
    with Tidemill(guarded.url_of("dashboard")) as dashboard:
        assert [one.name for one in dashboard.templates.list()] == ["resize"]
        assert len(dashboard.templates.versions("resize")) == 2
        assert guarded.denials() == []
        with pytest.raises(ServerUnsuitable, match="refuses this user"):
            dashboard.templates.show("resize")
    for action in (
        lambda: producer.templates.retire("resize", 1),
        lambda: producer.templates.label("resize", "stable", 1),
    ):
        with pytest.raises(ServerUnsuitable, match="refuses this user"):
            action()
    assert [one.retired for one in producer.templates.versions("resize")] == [None, None]
    guarded.denials()
