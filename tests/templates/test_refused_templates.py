"""What a template refuses, where it is declared and where it is called."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import pytest

from templates.template_cases import STOCK, label, number, preheat, retire, sent
from tidemill import (
    Call,
    InvalidArguments,
    InvalidInput,
    QueueFull,
    ServerUnavailable,
    Tidemill,
    call,
)

NOWHERE = "redis://127.0.0.1:1"


class Stock(TypedDict):
    sku: str
    depth: int


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
