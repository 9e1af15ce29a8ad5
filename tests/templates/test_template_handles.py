"""Templates in applications: declared, published, and enqueued with what differs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest

from conditions import eventually
from servers import Server
from templates.template_cases import STOCK, label, number, preheat, reference, retire, sent
from tidemill import (
    Call,
    InvalidArguments,
    InvalidInput,
    JobState,
    QueueFull,
    Retry,
    ServerUnavailable,
    Tidemill,
    call,
)
from tidemill.recurring import unpack
from tidemill.templates.reference import read

NOWHERE = "redis://127.0.0.1:1"
SECONDS = 20


class Stock(TypedDict):
    sku: str
    depth: int


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


def test_arguments_that_do_not_fit_are_refused_where_they_are_given(mill: Tidemill) -> None:
    template = preheat(mill, depth=3)

    with pytest.raises(InvalidArguments, match=r"template 'stock-preheat', version 1: .*argument 'skuu'"):
        template.enqueue(skuu="A1")
    with pytest.raises(InvalidArguments, match="missing 1 required positional argument: 'sku'"):
        template.enqueue()
    with pytest.raises(InvalidArguments, match=r"call 1: .*'skuu'"):
        template.enqueue_many([call(sku="A1"), call(skuu="A1")])
    with pytest.raises(
        InvalidArguments, match=r"call 0: a template's arguments are given by name, and \('A1',\) are not"
    ):
        template.enqueue_many([call("A1")])
    with pytest.raises(InvalidInput, match="takes call"):
        template.enqueue_many(cast(Any, ["A1"]))
    assert not any(queue.waiting for queue in mill.inspect.queues())


def test_a_schema_is_checked_where_the_code_is_and_where_it_is_not(mill: Tidemill, url: str) -> None:
    template = mill.template("typed", task="elsewhere", schema=Stock, defaults={"depth": 1})

    with pytest.raises(InvalidArguments, match=r"template 'typed', version 1: sku"):
        template.enqueue(sku=7)
    assert sent(mill, template.enqueue(sku="A1")) == {"sku": "A1"}
    with Tidemill(url) as other:
        by_name = other.template("typed")
        with pytest.raises(InvalidArguments, match=r"template 'typed', version 1: depth"):
            by_name.enqueue(sku="A1", depth="deep")
        with pytest.raises(InvalidArguments, match="sku"):
            by_name.enqueue()
        assert sent(other, by_name.enqueue(sku="A1", depth=1)) == {"sku": "A1"}


def test_defaults_that_do_not_fit_are_refused_where_they_are_declared(mill: Tidemill) -> None:
    with pytest.raises(InvalidArguments, match=r"defaults of template 'stock-preheat'.*'dept'"):
        preheat(mill, dept=3)
    with pytest.raises(InvalidArguments, match=r"defaults of template 'typed': depth"):
        mill.template("typed", task="elsewhere", schema=Stock, defaults={"depth": "deep"})


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"defaults": {}}, "without its task: say task="),
        ({"queue": "fast"}, "without its task"),
        ({"task": "t", "defaults": {1: 2}}, "arguments by name, and 1 is none"),
        ({"task": "t", "colour": "red"}, "unknown option colour of a template"),
        ({"task": "t", "queue": "A B"}, "queue name 'A B'"),
        ({"task": "no task"}, "task name 'no task'"),
        ({"version": 0}, "version, unless it is a label"),
        ({"version": "Canary"}, "label 'Canary'"),
        ({"choose": "later"}, "choose 'later'"),
        ({"version": 3, "choose": "at_start"}, "say one of them"),
        ({"version": "canary", "choose": "at_start"}, "say one of them"),
        ({"upcasters": {0: dict}}, "the version of an upcaster"),
        ({"upcasters": {1: "f"}}, "an upcaster is a function"),
    ],
)
def test_what_makes_no_sense_is_refused_without_a_server(options: dict[str, Any], what: str) -> None:
    with Tidemill(NOWHERE, deadline=0.1) as mill, pytest.raises(InvalidInput, match=what):
        mill.template("stock", **options)


def test_a_task_with_choices_of_one_job_is_no_task_of_a_template(mill: Tidemill) -> None:
    with pytest.raises(InvalidInput, match="give each job its own"):
        mill.template("stock", task=mill.named("preheat").using(job_id="x"))


def test_what_there_is_not_is_refused_with_what_there_is(mill: Tidemill) -> None:
    with pytest.raises(InvalidInput, match="template 'stock-preheat' is not known: nobody has published it"):
        mill.template(STOCK).enqueue(sku="A1")
    template = preheat(mill, depth=1)
    label(mill, "stable", 1)
    with pytest.raises(InvalidInput, match=r"has no label 'canary'; its labels are: 'stable'"):
        template.using(version="canary").enqueue(sku="A1")
    with pytest.raises(InvalidInput, match="has no version 7; the newest is 1"):
        template.using(version=7).enqueue(sku="A1")
    with pytest.raises(InvalidInput, match="was named here, not declared"):
        mill.template(STOCK).publish()


def test_a_template_keeps_its_task(mill: Tidemill) -> None:
    preheat(mill)
    with pytest.raises(InvalidInput, match="has the task 'preheat'"):
        mill.template(STOCK, task="another")


def test_nothing_is_enqueued_for_a_retired_version(mill: Tidemill, url: str) -> None:
    first = preheat(mill, depth=1)
    preheat(mill, depth=2)
    retire(mill, 1)
    with Tidemill(url) as other:
        own = preheat(other, depth=1)
        for handle in (own, other.template(STOCK, version=1)):
            with pytest.raises(InvalidInput, match="version 1 of template 'stock-preheat' is retired"):
                handle.enqueue(sku="A1")
        assert number(other.template(STOCK).enqueue(sku="A1")) == 2
        retire(mill, 2)

        with Tidemill(url) as third, pytest.raises(InvalidInput, match=r"all versions of template .* are retired"):
            third.template(STOCK).enqueue(sku="A1")
    assert first.task == "preheat"


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


def test_no_calls_are_no_jobs_and_ask_nobody() -> None:
    with Tidemill(NOWHERE, deadline=0.1) as mill:
        assert mill.template(STOCK).enqueue_many([]) == []
        with pytest.raises(InvalidInput, match="name one job"):
            mill.template(STOCK).using(job_id="x").enqueue_many([Call((), {}), Call((), {})])


def test_an_enqueue_that_could_not_even_ask_is_known_to_have_made_no_job() -> None:
    with Tidemill(NOWHERE, deadline=0.1) as mill, pytest.raises(ServerUnavailable) as caught:
        mill.template(STOCK).enqueue(sku="A1")
    assert not caught.value.may_be_applied


def test_a_queue_without_room_refuses_jobs_of_templates_with_those_that_got_in(mill: Tidemill) -> None:
    template = preheat(mill, depth=1)
    preheat(mill, depth=2)
    label(mill, "stable", 1, weight=1)
    label(mill, "canary", 2, weight=1)
    mill.inspect.limit("warm", 30)
    with pytest.raises(QueueFull) as caught:
        mill.template(STOCK).enqueue_many([call(sku="A1") for _ in range(60)], partial=True)
    assert len(caught.value.enqueued) == 30
    assert template.task == "preheat"


_MODULE = """
import sys
from tidemill import Tidemill
mill = Tidemill(sys.argv[1])

@mill.task(name="preheat")
def preheat(sku: str, depth: int = 1) -> None: ...

stock = mill.template("stock-preheat", task=preheat, defaults={"depth": 2})
"""
_IMPORTER = """
from declaring import mill, stock
def names(): return mill.client.link.run(mill.client.scripts.template_names())
print(names())
{0}
print(names())
"""


@pytest.mark.parametrize("first", ["stock.enqueue(sku='A1')", "mill.template('stock-preheat').enqueue(sku='A1')"])
def test_an_import_publishes_nothing_and_the_first_enqueue_does(first: str, tmp_path: Path, url: str) -> None:
    (tmp_path / "declaring.py").write_text(_MODULE)
    (tmp_path / "importer.py").write_text(_IMPORTER.replace("{0}", first))

    assert _python(tmp_path, "importer.py", url) == ["[]", "['stock-preheat']"]


def test_publish_publishes_what_an_import_declared_and_a_script_publishes_at_once(
    tmp_path: Path, server: Server, url: str
) -> None:
    (tmp_path / "declaring.py").write_text(_MODULE)
    (tmp_path / "importer.py").write_text(_IMPORTER.replace("{0}", "mill.publish()"))
    assert _python(tmp_path, "importer.py", url) == ["[]", "['stock-preheat']"]
    server.flush()

    _python(tmp_path, "declaring.py", url)
    with Tidemill(url) as mill:
        assert mill.client.link.run(mill.client.scripts.template_names()) == [STOCK]


def _python(directory: Path, *arguments: str) -> list[str]:
    run = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
