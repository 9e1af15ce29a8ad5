"""Breakers around calls of an application: blocks, decorators, coroutines; shared by processes, and alone."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from breakers.calling import LASTING, OPTIONS, Down, fail, is_refused
from commands_seen import commands_during
from conditions import eventually, eventually_each
from servers import Server
from tidemill import Breaker, BreakerOpen, JobCancelled, Tidemill
from tidemill.breakers import BreakerOptions
from tidemill.breakers.hub import Answer, Hub


def test_an_open_breaker_says_when_to_come_again(lasting: Breaker) -> None:
    assert lasting.retry_after == 0
    fail(lasting)
    message = r"breaker pay is open \(failures\): try again in [\d.]+ s"
    with pytest.raises(BreakerOpen, match=message) as raised, lasting:
        raise AssertionError("it was let through")
    assert raised.value.breaker == "pay"
    assert 20 < raised.value.retry_after <= 60
    assert lasting.state == "open"


def test_all_processes_see_it_open_and_closed(breaker: Breaker, elsewhere: Breaker) -> None:
    fail(breaker)
    eventually(lambda: elsewhere.state == "open", "the other one hears of it")
    assert elsewhere.retry_after <= 0.4
    eventually(lambda: not is_refused(elsewhere), "its probe is let through")
    eventually(lambda: breaker.state == "closed", "the first one hears of that")


def test_a_function_is_guarded_by_a_decorator(lasting: Breaker) -> None:
    @lasting
    def double(number: int) -> int:
        if number < 0:
            raise Down
        return 2 * number

    assert double.__name__ == "double"
    assert double(2) == 4
    for _ in range(2):
        with pytest.raises(Down):
            double(-1)
    with pytest.raises(BreakerOpen):
        double(2)


async def test_coroutines_are_guarded_too(lasting: Breaker) -> None:
    @lasting
    async def ask(*, is_down: bool) -> str:
        await asyncio.sleep(0)
        if is_down:
            raise Down
        return "answer"

    assert inspect.iscoroutinefunction(ask)
    assert await ask(is_down=False) == "answer"
    for _ in range(2):
        with pytest.raises(Down):
            await ask(is_down=True)
    with pytest.raises(BreakerOpen):
        async with lasting:
            raise AssertionError("it was let through")


async def test_a_coroutine_can_be_the_probe(breaker: Breaker) -> None:
    fail(breaker)
    await asyncio.to_thread(eventually, lambda: breaker.retry_after == 0, "it may be half-open")
    async with breaker:
        pass
    await asyncio.to_thread(eventually, lambda: breaker.state == "closed", "it is closed")


async def test_a_coroutine_that_is_cancelled_while_it_asks_leaves_its_permit_to_others(
    mill: Tidemill, server: Server, url: str
) -> None:
    with Tidemill(url) as another:
        breaker, elsewhere = await _with_one_permit(mill, another)
        server.client.client_pause(10_000, all=False)
        asking = asyncio.create_task(breaker.abegin())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        server.client.client_unpause()
        await asyncio.to_thread(eventually, lambda: breaker.state == "half_open", "the permit was given")
        await asyncio.to_thread(eventually, lambda: not is_refused(elsewhere), "it is another's")


async def test_a_coroutine_that_is_cancelled_when_it_has_just_been_answered_leaves_its_permit_to_others(
    mill: Tidemill, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Future[Answer]] = []
    ask = Hub.ask

    def noted(hub: Hub, breaker: Breaker, permit: str) -> Future[Answer]:
        asked.append(ask(hub, breaker, permit))
        return asked[-1]

    with Tidemill(url) as another:
        breaker, elsewhere = await _with_one_permit(mill, another)
        monkeypatch.setattr(Hub, "ask", noted)
        asking = asyncio.create_task(breaker.abegin())
        await asyncio.sleep(0)
        eventually(asked[0].done, "it is answered, and this loop does not know yet")
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        await asyncio.to_thread(eventually, lambda: not is_refused(elsewhere), "it is another's")


async def _with_one_permit(mill: Tidemill, another: Tidemill) -> tuple[Breaker, Breaker]:
    """The breaker in both applications, about to be half-open, with a permit for one of them."""
    options: BreakerOptions = {**LASTING, "half_open_max": 1}
    breaker, elsewhere = mill.breaker("pay", **options), another.breaker("pay", **options)
    assert not is_refused(elsewhere)
    assert not is_refused(breaker)
    mill.breakers.open("pay", duration=0.2)
    await asyncio.to_thread(eventually_each, [breaker, elsewhere], _may_be_half_open, "it may be half-open")
    return breaker, elsewhere


def _may_be_half_open(breaker: Breaker) -> bool:
    return breaker.state == "open" and not breaker.retry_after


async def test_calls_of_many_tasks_do_not_mix(breaker: Breaker) -> None:
    began = asyncio.Event()

    async def fails() -> None:
        async with breaker:
            await began.wait()
            raise Down

    async def passes() -> None:
        async with breaker:
            began.set()

    failures = [asyncio.create_task(fails()) for _ in range(2)]
    await asyncio.sleep(0)
    await passes()
    for failure in failures:
        with pytest.raises(Down):
            await failure
    assert breaker.state == "open"


def test_calls_of_many_threads_run_at_the_same_time(breaker: Breaker) -> None:
    together = threading.Barrier(4, timeout=20)

    def call() -> None:
        with breaker:
            together.wait()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(call) for _ in range(4)]:
            done.result()


async def test_what_was_cancelled_says_nothing(breaker: Breaker) -> None:
    for _ in range(3):
        with pytest.raises(asyncio.CancelledError):
            async with breaker:
                raise asyncio.CancelledError
        with pytest.raises(JobCancelled), breaker:
            raise JobCancelled
    fail(breaker, times=1)
    assert breaker.state == "closed"


def test_another_breaker_that_is_open_inside_says_nothing(mill: Tidemill, breaker: Breaker) -> None:
    inner = mill.breaker("inner", **OPTIONS)
    mill.breakers.open("inner")
    eventually(lambda: is_refused(inner), "it is open")
    for _ in range(3):
        with pytest.raises(BreakerOpen, match="inner"), breaker, inner:
            pass
    assert breaker.state == "closed"


def test_a_call_that_began_before_it_was_opened_counts_no_more(breaker: Breaker, mill: Tidemill) -> None:
    slow = breaker.begin()
    mill.breakers.open("pay")
    eventually(lambda: breaker.state == "open", "it is open")
    mill.breakers.close("pay")
    eventually(lambda: breaker.state == "closed", "it is closed")
    slow.ended("failed", 1.0)
    fail(breaker, times=1)
    assert breaker.state == "closed"


def test_half_open_lets_so_many_through_in_all_processes_together(url: str, patient: None) -> None:
    # So long a permit would be lent; opened by hand, it is half-open soon all the same.
    options: BreakerOptions = {**OPTIONS, "half_open_max": 3, "reset_timeout": 60}
    mills = [Tidemill(url) for _ in range(3)]
    try:
        breakers = [mill.breaker("pay", **options) for mill in mills]
        assert not any(map(is_refused, breakers))
        mills[0].breakers.open("pay", duration=0.4)
        eventually_each(breakers, lambda breaker: breaker.state == "open", "it is open")
        eventually(lambda: all(not breaker.retry_after for breaker in breakers), "it may be half-open")
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(_begin, breakers * 4))
        calls = [call for call in found if call is not None]
        assert len(calls) == 3
        for call in calls:
            call.ended("succeeded", 0.0)
        eventually_each(breakers, lambda breaker: breaker.state == "closed", "it is closed")
    finally:
        for mill in mills:
            mill.close()


def _begin(breaker: Breaker) -> Any:
    try:
        return breaker.begin()
    except BreakerOpen:
        return None


_PROBE = """
import sys, threading
from tidemill import Tidemill
breaker = Tidemill(sys.argv[1]).breaker("pay", fail_max=2, reset_timeout=0.4, half_open_max=1)
breaker.begin()
print("probing", flush=True)
threading.Event().wait()
"""


def test_the_permit_of_a_process_that_was_killed_is_anothers_after_a_time(
    url: str, mill: Tidemill, breaker: Breaker
) -> None:
    fail(breaker)
    eventually(lambda: mill.breakers.show("pay").state == "open", "the server knows")
    eventually(lambda: breaker.retry_after == 0, "it may be half-open")
    prober = subprocess.Popen([sys.executable, "-c", _PROBE, url], stdout=subprocess.PIPE, text=True)
    try:
        assert prober.stdout is not None
        assert prober.stdout.readline() == "probing\n"
        prober.send_signal(signal.SIGKILL)
        refused = is_refused(breaker)
        assert prober.wait(20) == -signal.SIGKILL
    finally:
        prober.kill()
        prober.communicate()
    eventually(lambda: not is_refused(breaker), "the permit is given to another one")
    eventually(lambda: breaker.state == "closed", "whose probe closes it")
    assert refused or mill.breakers.show("pay").state == "closed"


def test_a_call_of_a_closed_breaker_sends_nothing(server: Server, breaker: Breaker) -> None:
    with breaker:
        pass
    eventually(lambda: not commands_during(server, 0.3), "its state was read")
    stop = threading.Event()

    def call() -> None:
        while not stop.wait(0.001):
            with breaker:
                pass

    thread = threading.Thread(target=call)
    thread.start()
    seen = commands_during(server, 0.5)
    stop.set()
    thread.join()
    assert seen == []


def test_an_application_that_declares_breakers_and_uses_none_opens_no_connection(server: Server, url: str) -> None:
    with Tidemill(url) as mill:
        mill.breaker("pay")
        mill.enqueue("somebody.elses")
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("tidemill-breakers")]
