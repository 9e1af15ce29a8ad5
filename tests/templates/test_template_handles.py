"""Templates in applications: declared, published, and enqueued with what differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conditions import eventually
from servers import Server
from templates.template_cases import STOCK, label, number, preheat, reference, sent
from tidemill import (
    InvalidArguments,
    InvalidInput,
    JobState,
    Retry,
    Tidemill,
    call,
)
from tidemill.recurring import unpack
from tidemill.templates.reference import read

SECONDS = 20


@dataclass(frozen=True)
class Area:
    name: str


def test_only_what_differs_from_the_defaults_travels(mill: Tidemill) -> None:
    template = preheat(mill, depth=3, region="us", tags=("a", "b"))

    job = template.enqueue(sku="A1", depth=3, region="de", tags=("a", "b"))

    assert sent(mill, job) == {"sku": "A1", "region": "de"}
    declared = template.sender.declared
    assert declared is not None
    assert reference(job) == (STOCK, 1, declared.digest[:8], False)
    assert job.refresh().record.task == "preheat"


def test_values_that_only_seem_equal_travel(mill: Tidemill) -> None:
    """True == 1 == 1.0, and a task may tell them apart."""
    job = preheat(mill, depth=1, tags=()).enqueue(sku="A1", depth=True, tags=[])

    assert sent(mill, job) == {"sku": "A1", "depth": True, "tags": []}
    assert type(sent(mill, job)["depth"]) is bool


def test_the_same_content_is_the_same_version_and_other_content_the_next(mill: Tidemill, url: str) -> None:
    assert [preheat(mill, depth=depth).publish() for depth in (1, 2, 1)] == [1, 2, 1]
    with Tidemill(url) as other:
        assert number(preheat(other, depth=2).enqueue(sku="A1")) == 2


def test_a_handle_that_declares_takes_its_own_version_and_one_by_name_the_newest(mill: Tidemill) -> None:
    first, second = preheat(mill, depth=1), preheat(mill, depth=2)
    by_name = mill.template(STOCK)

    assert number(first.enqueue(sku="A1")) == 1
    assert number(second.enqueue(sku="A1")) == 2
    assert number(by_name.enqueue(sku="A1")) == 2
    assert sent(mill, by_name.enqueue(sku="A1", depth=2)) == {"sku": "A1"}
    assert number(second.using(version=1).enqueue(sku="A1")) == 1
    assert number(first.using(version="newest").enqueue(sku="A1")) == 2


def test_a_new_version_reaches_handles_by_name_within_a_moment(mill: Tidemill, url: str) -> None:
    preheat(mill, depth=1)
    with Tidemill(url) as other:
        by_name = other.template(STOCK)
        assert number(by_name.enqueue(sku="A1")) == 1
        preheat(mill, depth=2)
        eventually(lambda: number(by_name.enqueue(sku="A1")) == 2, "the new version is taken", SECONDS)


def test_a_label_names_a_version_and_its_weight_gives_it_a_share_of_the_jobs(mill: Tidemill) -> None:
    template = preheat(mill, depth=1)
    preheat(mill, depth=2)
    label(mill, "stable", 1, weight=3)
    label(mill, "canary", 2, weight=1)
    fresh = mill.template(STOCK)

    assert number(template.using(version="canary").enqueue(sku="A1")) == 2
    jobs = fresh.enqueue_many(call(sku=f"A{place}") for place in range(400))
    assert [sent(mill, job)["sku"] for job in jobs[:20]] == [f"A{place}" for place in range(20)]
    share = sum(number(job) == 2 for job in jobs)
    assert 40 < share < 160, "a quarter, by the ids of the jobs"
    one = jobs[7]
    assert fresh.using(job_id=one.id).enqueue(sku="A1") == one
    eventually(
        lambda: {number(template.enqueue(sku="A1")) for _ in range(40)} == {1, 2},
        "weights go before what code declares",
        SECONDS,
    )


def test_repeating_with_a_jobs_id_makes_no_second_job_even_of_another_version(mill: Tidemill) -> None:
    first, second = preheat(mill, depth=1), preheat(mill, depth=2)

    job = first.using(job_id="mine").enqueue(sku="A1")
    again = second.using(job_id="mine", queue="elsewhere").enqueue(sku="A1")

    assert again == job
    assert number(again) == 1
    assert [(queue.queue, queue.waiting) for queue in mill.inspect.queues()] == [("warm", 1)]


def test_a_job_that_starts_late_says_what_it_was_written_for_and_sends_all_that_was_said(mill: Tidemill) -> None:
    late = preheat(mill, depth=3).using(choose="at_start")

    job = late.enqueue(sku="A1", depth=3)

    assert reference(job).is_late
    assert reference(job).number == 1
    assert sent(mill, job) == {"sku": "A1", "depth": 3}


def test_options_come_from_the_call_then_the_template_then_the_task(mill: Tidemill) -> None:
    preheat(mill)
    task = mill.named("preheat").using(queue="warm", priority="high")
    template = mill.template("quick", task=task, queue="fast", expires=60, retry=Retry(max_attempts=9))

    record = template.enqueue(sku="A1").refresh().record
    assert (record.queue, record.priority) == ("fast", "high")
    assert record.expires_ms - record.created_ms == 60_000
    assert read(record.options)[1] == {}, "the worker takes the retries from the version"
    own = template.using(queue="mine", priority="low", retry=Retry(max_attempts=2), timeout=5).enqueue(sku="A1")
    record = own.refresh().record
    assert (record.queue, record.priority) == ("mine", "low")
    assert read(record.options)[1]["timeout_ms"] == 5000
    by_name = mill.template("quick").enqueue(sku="A1").refresh().record
    assert (by_name.queue, by_name.priority) == ("fast", "high")


def test_delayed_jobs_of_templates(mill: Tidemill) -> None:
    template = preheat(mill)

    assert template.enqueue_in(60, sku="A1").state == JobState.SCHEDULED
    assert template.enqueue_at(datetime.now(UTC) + timedelta(minutes=1), sku="A1").state == JobState.SCHEDULED
    assert template.using(delay=60).enqueue(sku="A1").state == JobState.SCHEDULED
    assert template.enqueue_in(0, sku="A1").state == JobState.READY


async def test_async_code_declares_and_enqueues_as_well(url: str) -> None:
    async with Tidemill(url) as mill:

        @mill.task(name="preheat")
        async def task(sku: str, depth: int = 1) -> None: ...

        template = await mill.atemplate(STOCK, task=task, defaults={"depth": 2})
        jobs = [
            await template.aenqueue(sku="A1"),
            await template.aenqueue_in(60, sku="A1"),
            await template.aenqueue_at(datetime.now(UTC), sku="A1"),
            *await template.aenqueue_many([call(sku="A1", depth=2)]),
            await mill.template(STOCK).aenqueue(sku="A1"),
        ]
        for job in jobs:
            await job.arefresh()
            assert mill.client.codec.decode_call(job.record.body) == ([], {"sku": "A1"})
        assert await template.apublish() == 1
        await mill.apublish()


def test_a_server_that_has_lost_a_template_gets_it_again(mill: Tidemill, server: Server) -> None:
    template = preheat(mill, depth=1)
    template.enqueue(sku="A1")
    server.flush()

    def again() -> bool:
        job = template.enqueue(sku="A1")
        assert sent(mill, job) == {"sku": "A1"}
        return mill.client.link.run(mill.client.scripts.look_template(STOCK)) is not None

    eventually(again, "the template is published again", SECONDS)


def test_limits_costs_and_tenants_see_the_merged_arguments(mill: Tidemill) -> None:
    costs: list[int] = []

    def cost(sku: str, depth: int) -> int:
        costs.append(depth)
        return depth

    @mill.task(name="limited", rate="100/s burst 50", rate_key="sku", cost=cost, tenant_key="sku")
    def limited(sku: str, depth: int) -> None: ...

    template = mill.template("limited", task=limited, defaults={"sku": "S", "depth": 7})
    plain = limited.enqueue("S", 7)
    job = template.enqueue()

    assert costs == [7, 7]
    assert job.refresh().record.tenant == plain.refresh().record.tenant != ""
    other = template.enqueue_many([call(depth=9), call(sku="T")])
    assert costs == [7, 7, 9, 7]
    assert other[1].refresh().record.tenant != job.record.tenant


def test_a_dataclass_among_the_defaults(mill: Tidemill, url: str) -> None:
    @mill.task(name="area")
    def area(where: Area, sku: str) -> None: ...

    template = mill.template("area", task=area, defaults={"where": Area("eu")})
    assert sent(mill, template.enqueue(where=Area("eu"), sku="A1")) == {"sku": "A1"}
    with Tidemill(url) as stranger:
        with pytest.raises(Exception, match=r"defaults of template 'area', version 1: .*not registered here"):
            stranger.template("area").enqueue(sku="A1")
        stranger.carry(Area)
        assert sent(stranger, stranger.template("area").enqueue(sku="A1")) == {"sku": "A1"}


def test_upcasters_are_known_by_template_and_step(mill: Tidemill) -> None:
    template = preheat(mill)

    @template.upcaster(3)
    def three(arguments: dict[str, Any]) -> dict[str, Any]:
        return arguments

    mill.template(STOCK, upcasters={1: dict})
    assert mill.client.catalog.upcasters(STOCK) == {3: three, 1: dict}
    assert mill.client.catalog.upcasters("other") == {}


def test_a_recurring_job_of_a_template_is_chosen_at_the_start_unless_it_is_pinned(mill: Tidemill) -> None:
    template = preheat(mill, depth=3)
    mill.every(timedelta(minutes=5), template, kwargs={"sku": "A1", "depth": 3})
    mill.every(timedelta(minutes=5), template.using(version=1), kwargs={"sku": "A1", "depth": 3}, name="pinned")

    found = mill.client.link.run(mill.client.scripts.recurring())
    late, pinned = (unpack(name, found[name]) for name in (STOCK, "pinned"))
    assert (late.task, late.queue, late.priority) == ("preheat", "warm", "high")
    assert read(late.options)[0].is_late
    assert not read(pinned.options)[0].is_late
    assert mill.client.codec.decode_call(late.body)[1] == {"sku": "A1", "depth": 3}
    assert mill.client.codec.decode_call(pinned.body)[1] == {"sku": "A1"}
    mill.publish()
    assert mill.client.link.run(mill.client.scripts.recurring()) == found
    with pytest.raises(InvalidArguments, match="'skuu'"):
        mill.every(timedelta(minutes=5), template, kwargs={"skuu": "A1"})
    with pytest.raises(InvalidArguments, match="by name"):
        mill.every(timedelta(minutes=5), template, args=["A1"])
    with pytest.raises(InvalidInput, match="can't be pinned"):
        mill.every(timedelta(minutes=5), template.using(version="canary"), kwargs={"sku": "A1"})
