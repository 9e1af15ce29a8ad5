"""`tidemill jobs`."""

from __future__ import annotations

import pytest

from cli.in_process import Group
from conditions import eventually
from fleet import running_worker
from tidemill import JobFailed, Tidemill, call
from tidemill.wire.command import Command

GROUP = Group("jobs")
run, answer = GROUP.run, GROUP.answer


def test_jobs_are_listed(mill: Tidemill, url: str) -> None:
    assert run(url, "list").stdout == "no jobs\n"
    assert answer(url, "list") == []
    ready = mill.named("images.thumbnail").enqueue_many([call(1), call(2), call(3)])
    later = mill.named("images.thumbnail").using(delay=60, queue="slow").enqueue()
    expected = {"id": ready[0].id, "state": "ready", "queue": "default", "task": "images.thumbnail", "attempt": 0}
    assert answer(url, "list", "--limit", "1") == [expected]
    assert [job["id"] for job in answer(url, "list", "--offset", "1")] == [job.id for job in ready[1:]]
    assert [job["state"] for job in answer(url, "list", "--queue", "slow")] == ["scheduled"]
    assert answer(url, "list", "--queue", "slow", "--state", "ready") == []
    assert run(url, "list", "--queue", "slow").stdout == f"{later.id}  scheduled  images.thumbnail  attempt 0\n"
    assert run(url, "list", "--queue", "No Queue").exit_code == 2


def test_a_job_is_shown_without_its_arguments(mill: Tidemill, url: str) -> None:
    job = mill.named("images.thumbnail").using(delay=60, expires=3600, priority="high").enqueue("secret.jpg")
    shown = answer(url, "show", job.id)
    assert set(shown) == {"id", "state", "queue", "task", "attempt", "priority", "created", "due", "expires"}
    assert (shown["state"], shown["priority"]) == ("scheduled", "high")
    assert shown["created"].endswith("+00:00")
    text = run(url, "show", job.id).stdout
    assert "priority     high\n" in text
    assert "secret" not in text + str(shown)
    assert run(url, "show", "nobody").exit_code == 3
    assert run(url, "show", "no body").exit_code == 2


def test_a_dead_letter_is_shown_with_its_error_and_run_again(mill: Tidemill, url: str) -> None:
    @mill.task(name="images.thumbnail")
    def thumbnail() -> None:
        raise ValueError("no such picture")

    with running_worker(mill):
        job = thumbnail.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
    shown = answer(url, "show", job.id)
    assert (shown["state"], shown["error"]) == ("dead", "ValueError: no such picture")
    assert 'raise ValueError("no such picture")' in shown["traceback"]
    assert "ValueError: no such picture" in run(url, "list", "--state", "dead").stdout
    assert run(url, "retry", job.id, "--by", "ann", "--reason", "why").stdout == f"{job.id}  ready\n"
    assert [(one.by, one.reason) for one in mill.dead_letters.actions()] == [("ann", "why")]
    assert job.refresh().state == "ready"
    refused = run(url, "retry", job.id, "nobody")
    assert refused.exit_code == 3
    assert "job nobody is not known" in refused.stderr


def test_jobs_are_cancelled(mill: Tidemill, url: str) -> None:
    first, second = mill.enqueue("a.task"), mill.named("a.task").using(delay=60).enqueue()
    assert answer(url, "cancel", first.id, second.id) == {first.id: "cancelled", second.id: "cancelled"}
    assert (first.refresh().state, second.refresh().state) == ("cancelled", "cancelled")


def test_cancelling_goes_on_after_an_unknown_job(mill: Tidemill, url: str) -> None:
    job = mill.enqueue("a.task")
    result = run(url, "cancel", "nobody", job.id)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[1] == f"{job.id}  cancelled"
    assert result.stderr == "Error: job nobody is not known: never enqueued, or dropped by retention\n"


@pytest.mark.interrupts
def test_cancelling_says_what_runs_and_what_was_over(mill: Tidemill, url: str) -> None:
    from threading import Event

    go_on = Event()

    @mill.task()
    def work() -> None:
        go_on.wait(20)

    with running_worker(mill):
        job = work.enqueue()
        eventually(lambda: job.refresh().state == "running", "the job runs")
        assert run(url, "cancel", job.id).stdout == f"{job.id}  runs, and was told to stop\n"
        go_on.set()
        eventually(lambda: job.refresh().state.is_over, "the job is over")
        done = work.enqueue()
        done.result(timeout=10)
    assert run(url, "cancel", done.id).stdout == f"{done.id}  was over already: succeeded\n"


def test_a_record_that_no_tidemill_wrote_is_an_error_and_no_traceback(mill: Tidemill, url: str) -> None:
    job = mill.enqueue("a.task")
    mill.client.link.run(Command(("HSET", mill.client.scripts.keys.job(job.id), "f", "noon"), int))
    shown = run(url, "show", job.id)
    assert (shown.exit_code, "no number" in shown.stderr) == (1, True)
    assert "CorruptRecord" in run(url, "list").stdout
