"""Sentinels that are gone, frozen, wrong or locked: which server is found all the same."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from conditions import eventually
from ports import unused_port
from sentinel.topology import CLUSTER_REASON, IS_CLUSTER, NAME, Sentinel, Topology
from servers import Server
from tidemill import ServerUnavailable, ServerUnsuitable, Tidemill
from tidemill.connection import sentinel as sentinel_connection

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(IS_CLUSTER, reason=CLUSTER_REASON),
]

DEADLINE_SECONDS = 30


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """A primary and its replica; the ports are in their `arguments`."""
    with _server() as primary, _server("--replicaof", "127.0.0.1", str(_port(primary))) as replica:
        eventually(lambda: _role(replica) == b"slave" and _is_linked(replica), "the replica is in sync", 60)
        yield primary, replica


@contextmanager
def _server(*arguments: str) -> Generator[Server]:
    found = Server(None, "--port", str(unused_port()), "--repl-diskless-sync-delay", "0", *arguments)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def _sentinel(port: int, password: str = "") -> Generator[Sentinel]:
    """One that is alone: it names this server, whatever it is, since no failover finds a majority."""
    found = Sentinel(port, password)
    try:
        eventually(found.described, "the sentinel answers")
        yield found
    finally:
        found.close()


def _port(server: Server) -> int:
    return int(server.client.config_get("port")["port"])


def _role(server: Server) -> object:
    return server.client.execute_command("ROLE")[0]


def _is_linked(server: Server) -> bool:
    return b"connected" in server.client.execute_command("ROLE")


def _url(*sentinels: Sentinel | int, login: str = "", options: str = "") -> str:
    ports = [found if isinstance(found, int) else found.port for found in sentinels]
    return f"redis+sentinel://{login}{','.join(f'127.0.0.1:{port}' for port in ports)}/{NAME}{options}"


def _watches() -> int:
    return sum(thread.name == "tidemill-sentinels" for thread in threading.enumerate())


def test_a_sentinel_that_is_gone_is_passed_over(servers: tuple[Server, Server]) -> None:
    with _sentinel(_port(servers[0])) as sentinel, Tidemill(_url(unused_port(), sentinel)) as mill:
        assert mill.enqueue("a.task").state == "ready"


def test_a_sentinel_that_does_not_answer_is_asked_once_and_then_last(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _port(servers[0])
    monkeypatch.setattr(sentinel_connection, "ASK_SECONDS", 3.0)
    with _sentinel(port) as frozen, _sentinel(port) as sentinel, Tidemill(_url(frozen, sentinel)) as mill:
        frozen.process.send_signal(signal.SIGSTOP)
        assert mill.enqueue("a.task").state == "ready"
        mill.close()
        monkeypatch.setattr(sentinel_connection, "ASK_SECONDS", 30.0)
        began = time.monotonic()
        assert mill.enqueue("a.task").state == "ready"
        assert time.monotonic() - began < 30.0, "the one that answered is asked first"


def test_a_sentinel_that_names_a_replica_is_not_believed(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    with _sentinel(_port(replica)) as wrong, _sentinel(_port(primary)) as right:
        with Tidemill(_url(wrong, right), deadline=DEADLINE_SECONDS) as mill:
            job = mill.enqueue("a.task")
            assert primary.client.exists(f"tm:{{0}}:job:{job.id}")
        with (
            Tidemill(_url(wrong), deadline=3) as mill,
            pytest.raises(ServerUnavailable, match=r"which the sentinels name as the primary, is a replica"),
        ):
            mill.enqueue("a.task")


async def test_async_code_does_not_believe_it_either(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    with _sentinel(_port(replica)) as wrong, _sentinel(_port(primary)) as right:
        async with Tidemill(_url(wrong, right), deadline=DEADLINE_SECONDS) as mill:
            job = await mill.aenqueue("a.task")
            assert await asyncio.to_thread(primary.client.exists, f"tm:{{0}}:job:{job.id}")


def test_a_sentinel_that_missed_a_failover_is_overruled(topology: Topology) -> None:
    """It names a server that takes itself for the primary. So did the old one, behind a network that is cut."""
    former = topology.primary_port
    topology.sentinels[0].ask("FAILOVER", NAME)
    new = topology.servers[topology.await_switch(former)]
    eventually(lambda: all(one.described()["config-epoch"] != "0" for one in topology.sentinels), "it is in force")
    with _server() as forgotten, _sentinel(_port(forgotten)) as late:
        hosts = ",".join(f"127.0.0.1:{found.port}" for found in (late, *topology.sentinels))
        with Tidemill(f"redis+sentinel://{hosts}/{NAME}", deadline=DEADLINE_SECONDS) as mill:
            mill.enqueue("a.task")  # perhaps to the wrong one: nobody else was asked yet
            eventually(
                lambda: new.client.exists(f"tm:{{0}}:job:{mill.enqueue('a.task').id}"), "the connection was cut", 20
            )
            mill.close()
            job = mill.enqueue("a.task")
            assert new.client.exists(f"tm:{{0}}:job:{job.id}"), "it stays overruled"


def test_a_name_that_no_sentinel_knows_is_said(servers: tuple[Server, Server]) -> None:
    with _sentinel(_port(servers[0])) as sentinel:
        url = _url(sentinel).replace(NAME, "other")
        with Tidemill(url, deadline=3) as mill, pytest.raises(ServerUnavailable) as found:
            mill.enqueue("a.task")
    assert "no sentinel knows where the primary is: the sentinels know no primary named 'other'" in str(found.value)


def test_sentinels_have_passwords_of_their_own(servers: tuple[Server, Server]) -> None:
    servers[0].client.execute_command("ACL", "SETUSER", "app", "on", ">data", "+@all", "~*", "&*")
    with _sentinel(_port(servers[0]), "watch@word") as sentinel:
        right = _url(sentinel, login="app:data@", options="?sentinel_password=watch%40word")
        with Tidemill(right) as mill:
            assert mill.enqueue("a.task").state == "ready"
        for wrong in (
            _url(sentinel, login="app:data@"),
            _url(sentinel, login="app:data@", options="?sentinel_password=secret"),
            _url(sentinel, login="app:secret@", options="?sentinel_password=watch%40word"),
        ):
            with Tidemill(wrong) as mill, pytest.raises(ServerUnsuitable) as found:
                mill.enqueue("a.task")
            assert not any(word in str(found.value) for word in ("secret", "data", "watch@", "watch%"))


def test_the_primary_is_found_by_a_user_that_may_do_little(servers: tuple[Server, Server]) -> None:
    servers[0].client.execute_command("ACL", "SETUSER", "app", "on", ">word", "+@all", "-@admin", "-role", "~*", "&*")
    with (
        _sentinel(_port(servers[0])) as sentinel,
        Tidemill(_url(sentinel, login="app:word@")) as mill,
    ):
        assert mill.enqueue("a.task").state == "ready"


def test_each_new_primary_is_examined(servers: tuple[Server, Server]) -> None:
    with (
        _server("--maxmemory-policy", "allkeys-lru") as unfit,
        _sentinel(_port(servers[0])) as sentinel,
        Tidemill(_url(sentinel)) as mill,
    ):
        assert mill.enqueue("a.task").state == "ready"
        mill.close()
        sentinel.ask("REMOVE", NAME)
        sentinel.ask("MONITOR", NAME, "127.0.0.1", _port(unfit), 2)
        with pytest.raises(ServerUnsuitable, match="maxmemory-policy is allkeys-lru"):
            mill.enqueue("a.task")


def test_nobody_listens_to_sentinels_without_need(servers: tuple[Server, Server], url: str) -> None:
    eventually(lambda: _watches() == 0, "earlier tests listen no more")
    with Tidemill(url) as mill:
        mill.enqueue("a.task")
        assert _watches() == 0, "a plain URL needs none"
    with _sentinel(_port(servers[0])) as sentinel:
        with Tidemill(_url(sentinel)) as one, Tidemill(_url(sentinel)) as other:
            one.enqueue("a.task")
            other.enqueue("a.task")
            assert _watches() == 1, "one for all"
        eventually(lambda: _watches() == 0, "it ends when nobody is connected")
        with Tidemill(_url(sentinel)) as again:
            again.enqueue("a.task")
            assert _watches() == 1


def test_a_fork_listens_for_itself(servers: tuple[Server, Server]) -> None:
    with _sentinel(_port(servers[0])) as sentinel, Tidemill(_url(sentinel)) as mill:
        mill.enqueue("a.task")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if mill.enqueue("a.task").state == "ready" and _watches() == 1:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert mill.enqueue("a.task").state == "ready"
