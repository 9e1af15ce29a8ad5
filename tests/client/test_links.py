"""The way to the server when something is wrong with it: what is repeated, and what the caller is told."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client.counting import job_count
from conditions import eventually
from proxy import Proxy
from servers import Server
from tidemill import (
    QueueFull,
    ServerUnavailable,
    Tidemill,
    TidemillError,
    call,
)
from tidemill.errors import GroupMissing
from tidemill.wire.command import Command

NOBODY = "redis://user:secret@127.0.0.1:1/0"


def test_a_server_that_is_gone_is_named_without_its_password() -> None:
    mill = Tidemill(NOBODY, deadline=0.3)
    began = time.monotonic()
    with pytest.raises(
        ServerUnavailable, match=r"no answer from redis://user:\*\*\*@127.0.0.1:1/0 within 0.3 s"
    ) as found:
        mill.enqueue("a.task")
    assert time.monotonic() - began < 5
    assert isinstance(found.value, ConnectionError)
    assert "secret" not in str(found.value)
    assert "tries" in str(found.value)
    assert "secret" not in repr(mill)


async def test_a_server_that_is_gone_ends_async_calls_too() -> None:
    async with Tidemill(NOBODY, deadline=0.3) as mill:
        with pytest.raises(ServerUnavailable, match=r"within 0.3 s \(\d+ tries\)"):
            await mill.aenqueue("a.task")


def test_a_server_that_does_not_answer_is_given_up_after_the_deadline(own_server: Server) -> None:
    with Tidemill(own_server.url, deadline=3) as mill:
        mill.enqueue("a.task")
        own_server.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match=r"within 3 s"):
            mill.enqueue("a.task")
        assert time.monotonic() - began < 30
        own_server.process.send_signal(signal.SIGCONT)
        assert mill.enqueue("a.task").state == "ready"


def test_a_restart_in_the_middle_of_enqueueing_is_not_noticed(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill, ThreadPoolExecutor() as threads:
        before = mill.enqueue("a.task")
        own_server.kill()
        waiting = threads.submit(mill.enqueue, "a.task")
        restart = threading.Timer(0.3, own_server.start)
        restart.start()
        assert waiting.result(20).state == "ready"
        restart.join()
        assert mill.job(before.id).state == "ready"
        assert job_count(own_server) == 2


async def test_a_restart_is_not_noticed_by_async_code(own_server: Server) -> None:
    async with Tidemill(own_server.url) as mill:
        await mill.aenqueue("a.task")
        own_server.kill()
        waiting = asyncio.create_task(mill.aenqueue("a.task"))
        await asyncio.to_thread(own_server.start)
        assert (await waiting).state == "ready"
        assert job_count(own_server) == 2


@pytest.mark.parametrize("losses", [1, 3])
def test_a_lost_reply_does_not_make_a_second_job(server: Server, url: str, losses: int) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url) as mill:
        mill.enqueue("a.task", "first")
        proxy.lose_replies(losses)
        sent = proxy.requests
        job = mill.enqueue("a.task", "second")
        assert proxy.requests - sent == losses + 1, "the reply was lost, and the call was repeated"
        assert mill.job(job.id).state == "ready"
        assert job_count(server) == 2
        assert mill.inspect.queue("default").waiting == 2


async def test_a_lost_reply_does_not_make_a_second_job_in_async_code(server: Server, url: str) -> None:
    with Proxy(server) as proxy:
        async with Tidemill(proxy.url) as mill:
            await mill.aenqueue("a.task", "first")
            proxy.lose_replies(2)
            sent = proxy.requests
            await mill.named("a.task").aenqueue_many([call(1), call(2)])
            assert proxy.requests - sent == 3
            assert job_count(server) == 3


def test_a_lost_reply_to_a_full_queue_is_still_there_already(server: Server, mill: Tidemill) -> None:
    mill.inspect.limit("default", 1)
    with Proxy(server) as proxy, Tidemill(proxy.url) as producer:
        producer.inspect.queue("default")
        proxy.lose_replies(1)
        assert producer.enqueue("a.task").state == "ready"
        with pytest.raises(QueueFull):
            producer.enqueue("a.task")


def test_an_idle_connection_that_was_closed_is_replaced_at_once(server: Server, url: str) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url) as mill:
        mill.enqueue("a.task")
        proxy.cut()
        assert mill.enqueue("a.task").state == "ready"
        assert job_count(server) == 2


def test_scripts_that_were_flushed_are_loaded_again(mill: Tidemill, server: Server) -> None:
    mill.enqueue("a.task")
    server.client.execute_command("SCRIPT", "FLUSH")
    assert mill.enqueue("a.task").state == "ready"
    server.client.execute_command("SCRIPT", "FLUSH")
    names = ["default", "other"]
    scripts = mill.client.scripts
    figures = mill.client.link.run_all([scripts.measure(name) for name in names])
    assert [(found.queue, found.waiting) for found in figures] == [("default", 2), ("other", 0)]


async def test_scripts_that_were_flushed_are_loaded_again_by_async_code(mill: Tidemill, server: Server) -> None:
    await mill.aenqueue("a.task")
    server.client.execute_command("SCRIPT", "FLUSH")
    assert (await mill.aenqueue("a.task")).state == "ready"
    server.client.execute_command("SCRIPT", "FLUSH")
    assert [figures.waiting for figures in await mill.inspect.aqueues()] == [2]
    await mill.aclose()


async def test_a_cancelled_call_does_not_leave_its_answer_to_the_next(server: Server, url: str) -> None:
    async with Tidemill(url) as mill:
        first = await mill.aenqueue("a.task", 0)
        link = mill.client.async_link
        for number in range(30):
            task = asyncio.create_task(link.run(mill.client.scripts.queue_names()))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert (await first.arefresh()).record.id == first.id, "the answer of another command was taken"
    assert job_count(server) == 1


def test_an_interrupted_call_does_not_leave_its_answer_to_the_next(mill: Tidemill, server: Server) -> None:
    link = mill.client.link
    link.run(mill.client.scripts.queue_names())
    main = threading.main_thread().ident
    assert main is not None

    def on_signal(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt() -> None:
        eventually(lambda: server.client.info("clients")["blocked_clients"], "the server has the call")
        signal.pthread_kill(main, signal.SIGUSR1)

    def wait_for_it() -> None:
        interrupting.start()
        for _ in range(20):  # each is shorter than the time for an answer
            link.run(Command(("BLPOP", "tm:{0}:nothing", 3), lambda reply: reply))

    interrupting = threading.Thread(target=interrupt)
    previous = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with pytest.raises(KeyboardInterrupt):
            wait_for_it()
        interrupting.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert link.run(Command(("PING",), bytes)) == b"PONG"


def test_a_missing_consumer_group_is_told_apart(mill: Tidemill) -> None:
    read: Command[Any] = Command(
        ("XREADGROUP", "GROUP", "g", "me", "STREAMS", "tm:{0}:nothing", ">"), lambda reply: reply
    )
    with pytest.raises(GroupMissing, match=r"unix:|redis:"):
        mill.client.link.run(read)


def test_an_answer_that_is_an_error_names_the_server(mill: Tidemill) -> None:
    wrong: Command[Any] = Command(("NOSUCHCOMMAND",), lambda reply: reply)
    with pytest.raises(TidemillError, match="answered with an error: unknown command"):
        mill.client.link.run(wrong)


def test_a_line_maps_every_error_of_the_driver(server: Server, url: str) -> None:
    from tidemill.connection import open_line
    from tidemill.target import Target

    with pytest.raises(ServerUnavailable, match=r"no answer from redis://user:\*\*\*@127.0.0.1:1/0: ") as caught:
        open_line(Target(lambda: NOBODY))
    assert "within" not in str(caught.value)
    with Proxy(server, marker=b"PING") as proxy:
        line = open_line(Target(lambda: proxy.url), reply_timeout_seconds=2)
        assert line.run(Command(("PING",), bytes)) == b"PONG"
        with pytest.raises(TidemillError, match="unknown command"):
            line.run(Command(("NOSUCHCOMMAND",), bytes))
        with pytest.raises(ServerUnavailable):
            line.run(Command(("BLPOP", "tm:{0}:nothing", 30), bytes))
        line.close()
        line = open_line(Target(lambda: proxy.url))
        line.subscribe(["tm:{0}:waiter:me"])
        assert line.messages(0.01) == []
        server.client.execute_command("SPUBLISH", "tm:{0}:waiter:me", "one")
        assert line.messages(20) == [("tm:{0}:waiter:me", "one")]
        threading.Timer(0.05, line.interrupt).start()
        with pytest.raises(ServerUnavailable):
            line.messages(60)
        line.close()


def test_a_connection_with_an_answer_that_can_not_be_its_own_is_not_used_again(mill: Tidemill, server: Server) -> None:
    link = mill.client.link
    assert link.run(Command(("ECHO", "first"), str)) == "b'first'"
    before = {one["id"] for one in server.client.client_list()}
    with pytest.raises(TidemillError, match="unknown command"):
        link.run(Command(("NONSENSE",), str))
    assert link.run(Command(("ECHO", "second"), str)) == "b'second'"
    after = {one["id"] for one in server.client.client_list()}
    assert len(after - before) == 1, "another connection"
