"""Breakers of an application whose server is away, or has lost its data; and of a process that was forked."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from breakers.calling import LASTING, OPTIONS, fail, is_refused
from conditions import eventually
from servers import Server
from tidemill import Breaker, Tidemill
from tidemill.breakers import BreakerOptions


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


def test_without_a_server_those_that_have_passed_are_among_its_probes() -> None:
    with Tidemill("redis://127.0.0.1:1", deadline=0.1) as mill:
        breaker = mill.breaker("pay", fail_max=2, reset_timeout=0.4, half_open_max=2)
        fail(breaker)
        eventually(lambda: breaker.retry_after == 0, "it may be half-open")
        first, second = breaker.begin(), breaker.begin()
        assert is_refused(breaker)
        first.ended("succeeded", 0.0)
        assert is_refused(breaker)
        second.ended("nothing", 0.0)
        third = breaker.begin()
        assert is_refused(breaker)
        third.ended("succeeded", 0.0)
        assert breaker.state == "closed"


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
    mill.breakers.open("mail", duration=timedelta(days=1))
    for key in (keys.breaker("mail"), keys.breakers):
        assert 86_400_000 + 400 < server.client.pttl(key) <= 2 * 86_400_000
