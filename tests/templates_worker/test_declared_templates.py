"""Templates that an application declares: in child processes, with upcasters, as a new worker meets old jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fleet import running_fleet, running_worker
from templates_worker import template_app
from templates_worker.published import jobs_of, version_of
from tidemill import JobFailed, Tidemill
from tidemill_consumers.settings import WorkerSettings
from worker.processes import TESTS

CHILDREN = WorkerSettings(
    concurrency=4, lease_ms=4_000, child_processes=1, app_path="templates_worker.template_app:mill"
)


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application that child processes import, on an empty server."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield template_app.mill
    template_app.mill.close()


def test_a_child_process_gets_all_arguments_and_the_terms_of_the_version(app: Tidemill) -> None:
    with running_worker(app, CHILDREN):
        for _ in range(2):
            found = template_app.child.enqueue(sku="A1").result(timeout=60)
            assert found == {"region": "eu", "items": [0], "sku": "A1", "attempt": 1, "has_deadline": True}


def test_the_attempts_of_a_version_hold_in_a_child_process(app: Tidemill) -> None:
    with running_fleet(app, CHILDREN), pytest.raises(JobFailed, match="a 2"):
        template_app.failing.enqueue().result(timeout=60)


def test_an_upcaster_that_fails_fails_the_attempt_also_before_a_child_process(app: Tidemill) -> None:
    with running_fleet(app, CHILDREN):
        job = template_app.unsuited.enqueue()
        with pytest.raises(JobFailed, match="no such field"):
            job.result(timeout=60)
        assert job.refresh().attempt == 2


def test_code_of_a_later_version_runs_jobs_of_earlier_ones(app: Tidemill) -> None:
    first = version_of(app, "renamed", "templates_worker.template_app.in_thread", count=1)
    second = version_of(app, "renamed", "templates_worker.template_app.in_thread", amount=1, unit="piece")
    with running_worker(app, CHILDREN):
        task = "templates_worker.template_app.in_thread"
        assert jobs_of(app, "renamed", task, first).enqueue(count=3).result(timeout=20) == {"amount": 300}
        assert jobs_of(app, "renamed", task, second).enqueue().result(timeout=20) == {"amount": 100, "unit": "piece"}
        # What the worker has declared itself is the newest, and takes no step.
        assert template_app.renamed.enqueue(amount=7).result(timeout=20) == {"amount": 7}


def test_a_job_that_takes_the_current_version_runs_with_it_when_it_was_written_for_another(app: Tidemill) -> None:
    with running_worker(app, CHILDREN):
        task = "templates_worker.template_app.in_thread"
        for number in (1, 2, 3):
            version_of(app, "current", task, number=number)
        late = app.template("current").using(choose="at_start")
        assert late.enqueue(sku="A1").result(timeout=20) == {"number": 3, "sku": "A1"}
