"""What a job of a template is called with, and on which terms it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from templates_worker.published import content_of, jobs_of, publish, version_of
from tidemill import JobFailed, Retry, Tidemill, call, current_job
from tidemill.options import Options
from tidemill_consumers.settings import WorkerSettings

NAME = "stock"


def test_a_job_runs_with_the_defaults_of_its_version_and_what_was_sent(mill: Tidemill) -> None:
    @mill.task(name="merge")
    def merge(**arguments: object) -> dict[str, object]:
        return arguments

    first = version_of(mill, NAME, "merge", region="eu", depth=3)
    second = version_of(mill, NAME, "merge", region="us", depth=4)
    with running_worker(mill):
        one = jobs_of(mill, NAME, "merge", first)
        assert one.enqueue(sku="A1").result(timeout=20) == {"region": "eu", "depth": 3, "sku": "A1"}
        assert one.enqueue(depth=9).result(timeout=20) == {"region": "eu", "depth": 9}
        assert jobs_of(mill, NAME, "merge", second).enqueue().result(timeout=20) == {"region": "us", "depth": 4}


def test_what_a_job_changes_in_its_defaults_no_other_job_sees(mill: Tidemill) -> None:
    @dataclass
    class Box:
        items: list[int]

    @mill.task(name="change")
    def change(flat: list[int], deep: dict[str, list[int]], box: Box, pair: tuple[list[int], int]) -> list[object]:
        flat.append(1)
        deep["a"].append(1)
        box.items.append(1)
        pair[0].append(1)
        return [flat, deep, box.items, pair[0]]

    mill.client.codec.carry(Box)
    version = version_of(mill, NAME, "change", flat=[0], deep={"a": [0]}, box=Box([0]), pair=([0], 0))
    with running_worker(mill):
        jobs = jobs_of(mill, NAME, "change", version)
        for _ in range(3):
            assert jobs.enqueue().result(timeout=20) == [[0, 1], {"a": [0, 1]}, [0, 1], [0, 1]]


def test_a_coroutine_gets_them_too(mill: Tidemill) -> None:
    @mill.task(name="later", executor="async")
    async def later(**arguments: object) -> dict[str, object]:
        await asyncio.sleep(0)
        return arguments

    version = version_of(mill, NAME, "later", a=[1])
    with running_worker(mill):
        job = jobs_of(mill, NAME, "later", version).enqueue(b=2)
        assert job.result(timeout=20) == {"a": [1], "b": 2}


def test_its_fallback_gets_them_too(mill: Tidemill) -> None:
    def instead(**arguments: object) -> dict[str, object]:
        return arguments

    @mill.task(name="breaks", fallback=instead)
    def breaks(**_: object) -> dict[str, object]:
        raise ValueError("no")

    version = version_of(mill, NAME, "breaks", a=1)
    with running_worker(mill):
        assert jobs_of(mill, NAME, "breaks", version).enqueue(b=2).result(timeout=20) == {"a": 1, "b": 2}


def test_a_retried_job_keeps_its_version(mill: Tidemill) -> None:
    @mill.task(name="again", retry=Retry(max_attempts=3, base=0.01))
    def again(mark: str) -> str:
        if current_job().attempt < 3:
            raise ValueError(mark)
        return mark

    first = version_of(mill, NAME, "again", mark="first")
    job = jobs_of(mill, NAME, "again", first).enqueue()
    version_of(mill, NAME, "again", mark="second")
    with running_fleet(mill):
        assert job.result(timeout=20) == "first"


def test_the_terms_of_a_job_go_before_its_versions_and_those_before_its_tasks(mill: Tidemill) -> None:
    attempts: list[str] = []

    @mill.task(name="fails", retry=Retry(max_attempts=9, base=0.01))
    def fails(mark: str) -> None:
        attempts.append(mark)
        raise ValueError(mark)

    carried = Options().using({"retry": Retry(max_attempts=2, base=0.01)}).carried
    version = publish(mill, NAME, content_of(mill, "fails", {}, carried=carried))
    own = Options().using({"retry": Retry(max_attempts=3, base=0.01)})
    with running_fleet(mill):
        jobs = [
            jobs_of(mill, NAME, "fails", version).enqueue(mark="version"),
            jobs_of(mill, NAME, "fails", version, own=own).enqueue(mark="job"),
        ]
        for job in jobs:
            with pytest.raises(JobFailed):
                job.result(timeout=20)
    assert [attempts.count(mark) for mark in ("version", "job")] == [2, 3]


def test_jobs_with_terms_of_their_own_that_are_taken_together_all_have_these(mill: Tidemill) -> None:
    attempts: list[str] = []

    @mill.task(name="fails", retry=Retry(max_attempts=9, base=0.01))
    def fails(mark: str) -> None:
        attempts.append(mark)
        raise ValueError(mark)

    carried = Options().using({"retry": Retry(max_attempts=1, base=0.01)}).carried
    version = publish(mill, NAME, content_of(mill, "fails", {}, carried=carried))
    own = jobs_of(mill, NAME, "fails", version, own=Options().using({"retry": Retry(max_attempts=2, base=0.01)}))
    with running_fleet(mill):
        with pytest.raises(JobFailed):  # from then on the version is held
            jobs_of(mill, NAME, "fails", version).enqueue(mark="first").result(timeout=20)
        for job in own.enqueue_many([call(mark=f"{number}") for number in range(30)]):
            with pytest.raises(JobFailed):
                job.result(timeout=20)
    assert {mark: attempts.count(mark) for mark in attempts} == {"first": 1, **{f"{number}": 2 for number in range(30)}}


@pytest.mark.interrupts
def test_the_timeout_of_a_version_holds_for_jobs_that_had_to_wait_for_it(mill: Tidemill) -> None:
    @mill.task(name="slow", timeout=timedelta(seconds=60))
    def slow() -> None:
        current_job().wait_for_stop(60)

    carried = Options().using({"timeout": 0.1}).carried
    version = publish(mill, NAME, content_of(mill, "slow", {}, carried=carried))
    with running_worker(mill), pytest.raises(JobFailed, match=r"timeout of 0\.1 s"):
        jobs_of(mill, NAME, "slow", version).enqueue().result(timeout=20)


def test_the_limits_of_a_job_are_named_by_its_defaults_as_well(mill: Tidemill) -> None:
    def by_tenant(tenant: str, **_: object) -> str:
        return tenant

    @mill.task(name="limited", concurrency=1, concurrency_key=by_tenant)
    def limited(tenant: str, sku: str) -> str:
        return f"{tenant} {sku}"

    version = version_of(mill, NAME, "limited", tenant="acme")
    with running_fleet(mill):
        jobs = [jobs_of(mill, NAME, "limited", version).enqueue(sku=sku) for sku in ("a", "b", "c")]
        assert [job.result(timeout=20) for job in jobs] == ["acme a", "acme b", "acme c"]


def test_jobs_that_take_the_current_version_take_the_one_that_is_when_they_start(mill: Tidemill) -> None:
    @mill.task(name="now")
    def now(mark: str) -> str:
        return mark

    first = version_of(mill, NAME, "now", mark="first")
    jobs = jobs_of(mill, NAME, "now", first, late=True)
    waiting = jobs.enqueue()
    version_of(mill, NAME, "now", mark="second")
    with running_worker(mill, WorkerSettings(concurrency=2, lease_ms=4_000)):
        assert waiting.result(timeout=20) == "second"
        version_of(mill, NAME, "now", mark="third")
        eventually(lambda: jobs.enqueue().result(timeout=20) == "third", "the worker has heard of it")
