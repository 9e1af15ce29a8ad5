"""What the driver must not do by itself: send a command again, give up a blocking read too soon, choose a protocol."""

from __future__ import annotations

import time

import pytest

from commands_seen import commands_seen
from proxy import Proxy
from servers import Server
from tidemill import ServerUnavailable
from tidemill.connection import open_line
from tidemill.connection.driver import LOST, AsyncWire, make_async_wire, make_wire
from tidemill.target import Target
from tidemill.wire.command import Command

STREAM = "tm:{0}:events"
ADD = ("XADD", STREAM, "*", "event", "none", "jobs", "none")


def test_a_command_whose_reply_is_lost_is_sent_once(server: Server, url: str) -> None:
    with Proxy(server, marker=b"XADD") as proxy:
        line = open_line(Target(lambda: proxy.url))
        proxy.lose_replies(10)
        with pytest.raises(ServerUnavailable):
            line.run(Command(ADD, bytes))
        line.close()
        assert proxy.requests == 1
    assert server.client.xlen(STREAM) == 1


async def test_a_command_whose_reply_is_lost_is_sent_once_by_async_code(server: Server, url: str) -> None:
    with Proxy(server, marker=b"XADD") as proxy:
        wire = make_async_wire(proxy.url, 5)
        await wire.connect()
        proxy.lose_replies(10)
        with pytest.raises(LOST):
            await _send(wire)
        await wire.disconnect()
        assert proxy.requests == 1
    assert server.client.xlen(STREAM) == 1


async def _send(wire: AsyncWire) -> None:
    await wire.send_packed_command(wire.pack_commands([ADD]), check_health=False)
    await wire.read_response()


def test_a_refused_connection_is_not_tried_again_by_the_driver(server: Server) -> None:
    with Proxy(server) as proxy:
        proxy.swallow()
        wire = make_wire(proxy.url, 0.3)
        with pytest.raises(LOST):
            wire.connect()
        assert proxy.connections == 1


def test_a_blocking_read_may_take_longer_than_an_answer(server: Server, url: str) -> None:
    line = open_line(Target(lambda: url), reply_timeout_seconds=1.5)
    began = time.monotonic()
    assert line.run_blocking(Command(("BLPOP", "tm:{0}:nothing", 2), lambda reply: reply), 2) is None
    assert time.monotonic() - began >= 2
    with pytest.raises(ServerUnavailable):  # the time for an answer is the old one again
        line.run(Command(("BLPOP", "tm:{0}:nothing", 5), lambda reply: reply))
    line.close()


def test_a_connection_that_swallows_answers_is_given_up_when_the_read_is_late(server: Server, url: str) -> None:
    with Proxy(server, marker=b"BLPOP") as proxy:
        line = open_line(Target(lambda: proxy.url), reply_timeout_seconds=0.5)
        proxy.swallow()
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match="no answer"):
            line.run_blocking(Command(("BLPOP", "tm:{0}:nothing", 1), lambda reply: reply), 1)
        assert 1.4 < time.monotonic() - began < 10
        line.close()


def test_the_protocol_is_the_second_and_nobody_asks_for_another(server: Server, url: str) -> None:
    asking_for_another = f"{url}{'&' if '?' in url else '?'}protocol=3"
    with commands_seen(server) as seen:
        open_line(Target(lambda: asking_for_another)).close()
    assert any('"INFO"' in one.upper() for one in seen)
    assert not [one for one in seen if '"HELLO"' in one.upper()]
