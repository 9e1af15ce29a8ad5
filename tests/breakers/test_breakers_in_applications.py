"""Breakers around calls of an application: blocks, decorators, coroutines; shared by processes, and alone."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from commands_seen import commands_during
from conditions import eventually, eventually_each
from servers import Server
from tidemill import Breaker, BreakerOpen, JobCancelled, Tidemill
from tidemill.breakers import BreakerOptions

OPTIONS: BreakerOptions = {"fail_max": 2, "reset_timeout": 0.4, "half_open_max": 1}


# For tests that want it open: longer than a busy machine takes.
LASTING: BreakerOptions = {"fail_max": 2, "reset_timeout": 60}


class Down(Exception):
    """A call has failed."""


def fail(breaker: Breaker, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(Down), breaker:
            raise Down


def is_refused(breaker: Breaker) -> bool:
    try:
        with breaker:
            return False
    except BreakerOpen:
        return True


@pytest.fixture
def breaker(mill: Tidemill) -> Breaker:
    return mill.breaker("pay", **OPTIONS)


@pytest.fixture
def lasting(mill: Tidemill) -> Breaker:
    return mill.breaker("pay", **LASTING)


@pytest.fixture
def elsewhere(url: str) -> Iterator[Breaker]:
    """The same one in another application, which follows it."""
    with Tidemill(url) as other:
        found = other.breaker("pay", **OPTIONS)
        with found:
            pass
        yield found


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


def test_half_open_lets_so_many_through_in_all_processes_together(url: str) -> None:
    options: BreakerOptions = {**OPTIONS, "half_open_max": 3, "reset_timeout": 1.0}
    mills = [Tidemill(url) for _ in range(3)]
    try:
        breakers = [mill.breaker("pay", **options) for mill in mills]
        assert not any(map(is_refused, breakers))
        fail(breakers[0])
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


def test_without_a_server_a_process_goes_on_by_itself() -> None:
    with Tidemill("redis://127.0.0.1:1", deadline=0.1) as mill:
        breaker = mill.breaker("pay", **OPTIONS)
        lasting = mill.breaker("mail", **LASTING)
        fail(lasting)
        assert is_refused(lasting)
        fail(breaker)
        eventually(lambda: breaker.retry_after == 0, "it may be half-open")
        fail(breaker, times=1)
        assert breaker.state == "open"
        eventually(lambda: not is_refused(breaker), "a probe is let through")
        eventually(lambda: breaker.state == "closed", "it is closed")


def test_what_was_found_out_alone_is_told_when_the_server_is_back(own_server: Server) -> None:
    with Tidemill(own_server.url) as one, Tidemill(own_server.url) as other:
        options: BreakerOptions = {**OPTIONS, "reset_timeout": 30}
        here, there = one.breaker("pay", **options), other.breaker("pay", **options)
        for breaker in (here, there):
            with breaker:
                pass
        own_server.kill()
        fail(here)
        assert here.state == "open"
        assert there.state == "closed"
        own_server.start()
        eventually(lambda: there.state == "open", "the other one hears of it", 40)
        assert other.breakers.show("pay").reason == "failures"


def test_what_it_has_missed_it_reads_when_it_is_connected_again(own_server: Server, tmp_path: Path) -> None:
    with Tidemill(own_server.url) as one, Tidemill(own_server.url) as other:
        breaker = one.breaker("pay", **OPTIONS)
        with breaker:
            pass
        own_server.client.client_kill_filter(_type="pubsub")
        other.breakers.open("pay")
        eventually(lambda: breaker.state == "open", "it knows", 40)


def test_a_server_that_has_lost_its_data_closes_what_it_does_not_know(
    server: Server, breaker: Breaker, elsewhere: Breaker
) -> None:
    fail(breaker)
    eventually(lambda: elsewhere.state == "open", "the other one hears of it")
    server.flush()
    eventually(lambda: not is_refused(breaker), "a call is let through")
    eventually(lambda: elsewhere.state == "closed", "the other one hears of that")
    fail(elsewhere)
    eventually(lambda: breaker.state == "open", "and what comes after counts")


def test_a_forked_process_follows_by_itself(url: str, breaker: Breaker, mill: Tidemill) -> None:
    with breaker:
        pass
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with breaker:
                pass
            os.write(write, b"1")
            eventually(lambda: breaker.state == "open", "the child hears of it")
            os.write(write, b"2")
        finally:
            os._exit(0)
    assert os.read(read, 1) == b"1"
    mill.breakers.open("pay")
    assert os.read(read, 1) == b"2"
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)


def test_every_key_has_an_end(server: Server, mill: Tidemill, breaker: Breaker) -> None:
    fail(breaker)
    eventually(lambda: mill.breakers.show("pay").state == "open", "the server knows")
    keys = mill.client.scripts.keys
    for key in (keys.breaker("pay"), keys.breakers):
        assert 0 < server.client.pttl(key) <= 86_400_000 + 400
