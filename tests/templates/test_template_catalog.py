"""How often a producer asks what is current, and what it may not conclude from a question that was lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import Proxy
from servers import Server
from templates.template_cases import STOCK, label, number, preheat, sent
from tidemill import EnqueueUnknown, ServerUnavailable, Tidemill, call
from tidemill.templates import catalog, sending
from tidemill.templates.choosing import pick
from tidemill.wire.templating import Label, Pointers, Version


@pytest.fixture
def questions(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates that are asked for, in order."""
    asked: list[str] = []
    look = mill.client.scripts.look_template

    def counted(name: str) -> Any:
        asked.append(name)
        return look(name)

    monkeypatch.setattr(mill.client.scripts, "look_template", counted)
    return asked


def test_an_answer_serves_all_handles_and_all_jobs_while_it_is_recent(
    mill: Tidemill, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MAX_AGE_SECONDS", 60.0)
    preheat(mill)
    for handle in (mill.template(STOCK), mill.template(STOCK), mill.template(STOCK, choose="at_start")):
        handle.enqueue(sku="A1")
        handle.enqueue_many([call(sku="A1"), call(sku="B1")])
    assert questions == [STOCK]


def test_an_answer_that_is_old_is_asked_for_again(
    mill: Tidemill, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MAX_AGE_SECONDS", 0.0)
    preheat(mill)
    by_name = mill.template(STOCK)
    for _ in range(3):
        by_name.enqueue(sku="A1")
    assert questions == [STOCK] * 3


async def test_while_one_asks_the_others_go_on_with_what_they_know(
    mill: Tidemill, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MAX_AGE_SECONDS", 0.0)
    monkeypatch.setattr(catalog, "PATIENCE_SECONDS", 60.0)
    template = await mill.atemplate("other", task="preheat")
    by_name = mill.template("other")
    await by_name.aenqueue(sku="A1")
    assert questions == ["other"]
    await asyncio.gather(*(by_name.aenqueue(sku="A1") for _ in range(50)))
    assert len(questions) == 2
    assert template.task == "preheat"
    await mill.aclose()


def test_contents_are_kept_and_no_more_than_a_number_of_them(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MAX_LOADED", 2)
    handles = [preheat(mill, depth=depth) for depth in (1, 2, 3)]
    for handle in (*handles, *handles):
        handle.enqueue(sku="A1")
    held = [mill.client.catalog.held(STOCK, _version(handle)) for handle in handles]
    assert [one is not None for one in held] == [False, True, True]
    assert sent(mill, mill.template(STOCK, version=1).enqueue(sku="A1", depth=1)) == {"sku": "A1"}


def _version(handle: Any) -> Version:
    version: Version = handle.sender.declared.version
    return version


@pytest.mark.parametrize("first", ["the question", "the publishing", "the content"])
def test_a_question_without_an_answer_says_that_no_job_was_made(first: str, server: Server, url: str) -> None:
    with Tidemill(url) as mill:
        preheat(mill, depth=2)
    marker = {"the question": b"HMGET", "the publishing": b"EVALSHA", "the content": b"GET"}[first]
    with Proxy(server, marker=marker) as proxy, Tidemill(proxy.url, deadline=3) as mill:
        mill.enqueue("a.task").cancel()  # it is connected, and the server has the scripts
        handle = mill.template(STOCK)
        if first == "the content":
            mill.client.run(mill.client.catalog.look(STOCK, 0))
            seen = mill.client.catalog.recent(STOCK, 0, 60.0)
            assert seen is not None
            seen.asked_at += 600.0  # nobody has to ask
        if first == "the publishing":
            handle = preheat(mill, depth=3)
            declared = handle.sender.declared
            assert declared is not None
            declared.version = None
        proxy.lose_replies(10_000)
        with pytest.raises(ServerUnavailable) as caught:
            handle.enqueue(sku="A1")
        proxy.lose_replies(0)
        assert not isinstance(caught.value, EnqueueUnknown)
        assert caught.value.may_be_applied is False


def test_an_enqueue_without_an_answer_carries_its_job_and_can_be_repeated(server: Server, url: str) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url, deadline=3) as mill:
        template = preheat(mill, depth=2)
        template.enqueue(sku="A0").cancel()
        seen = mill.client.catalog.recent(STOCK, 1, 60.0)
        assert seen is not None
        seen.asked_at += 600.0  # nobody has to ask
        proxy.lose_replies(10_000)
        with pytest.raises(EnqueueUnknown) as caught:
            template.enqueue(sku="A1")
        proxy.lose_replies(0)
        job = caught.value.job
        preheat(mill, depth=9)
        assert template.using(version="newest", job_id=job.id).enqueue(sku="A1") == job
        assert number(job) == 1


def test_a_share_is_chosen_by_the_jobs_id(mill: Tidemill) -> None:
    preheat(mill, depth=1)
    preheat(mill, depth=2)
    label(mill, "stable", 1, weight=1)
    label(mill, "canary", 2, weight=1)
    pointers = mill.client.link.run(mill.client.scripts.look_template(STOCK))
    assert pointers is not None

    for job in mill.template(STOCK).enqueue_many([call(sku="A1") for _ in range(30)]):
        picked = pick(pointers, job.id)
        assert picked is not None
        assert picked.number == number(job)


ONE, TWO, THREE = (Version(number, bytes([number]) * 16) for number in (1, 2, 3))


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_shares_are_as_the_weights(weights: list[int]) -> None:
    labels = tuple(map(Label, "abc", (ONE, TWO, THREE), weights))
    pointers = Pointers("stock", "t", 1, THREE, labels)
    picked = [pick(pointers, f"job-{place}") for place in range(600)]
    if not any(weights):
        assert set(picked) == {THREE}
        return
    for version, weight in zip((ONE, TWO, THREE), weights, strict=True):
        wanted = 600 * weight / sum(weights)
        assert (picked.count(version) == 0) if weight == 0 else abs(picked.count(version) - wanted) < 90


def test_nothing_is_picked_of_a_template_whose_versions_are_all_retired() -> None:
    assert pick(Pointers("stock", "t", 1, None, ()), "any") is None
