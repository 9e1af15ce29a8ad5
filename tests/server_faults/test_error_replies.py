"""Every error that a server gives, from a real server: what it stands for, and what the caller sees, in both kinds of
code."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from conditions import eventually
from server_faults.cluster_pair import running_pair
from servers import Server
from tidemill.connection import AsyncLink, Link, open_line
from tidemill.connection.driver import fault_of
from tidemill.errors import GroupMissing, QueueFull, ServerUnavailable, ServerUnsuitable, TidemillError
from tidemill.faults import Fault
from tidemill.target import Target
from tidemill.wire.command import Command
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs, Scripts

SCRIPTS = Scripts(Keys())
KEY = SCRIPTS.keys.queues
# Ends by itself after half a minute or so, should nobody kill it.
ENDLESS = "local i = 0 while i < 2000000000 do i = i + 1 end return i"


def _plain(*words: str | int) -> Command[Any]:
    return Command(words, lambda reply: reply)


def _enqueue() -> Command[Any]:
    return SCRIPTS.enqueue(NewJobs("q", "t"), [NewJob("a", "", b"")])


def _target(url: str) -> Target:
    found = Target(lambda: url)
    found.examined = True  # INFO is not what is asked for here
    return found


async def _check(
    url: str,
    command: Command[Any],
    fault: Fault,
    seen: type[TidemillError],
    text: str,
    *,
    deadline_seconds: float = 1.2,
    times: int = 2,
) -> None:
    sync_link, async_link = Link(_target(url), deadline_seconds), AsyncLink(_target(url), deadline_seconds)
    try:
        for attempt in range(times):  # the second by a connection that is there already, if it was kept
            with pytest.raises(seen, match=text) as caught:
                sync_link.run(command)
            _same(caught.value, fault, seen, attempt)
            with pytest.raises(seen, match=text) as caught:
                await async_link.run(command)
            _same(caught.value, fault, seen, attempt)
    finally:
        sync_link.close()
        await async_link.close()


def _same(error: TidemillError, fault: Fault, seen: type[TidemillError], attempt: int) -> None:
    assert type(error) is seen, attempt
    assert fault_of(_cause(error)) is fault, (attempt, error.__cause__)
    assert not error.may_be_applied, "it was refused, so that is what the caller must be told"


def _cause(error: Exception) -> Exception:
    assert isinstance(error.__cause__, Exception)
    return error.__cause__


@contextmanager
def _configured(server: Server, **settings: object) -> Generator[None]:
    for name, value in settings.items():
        server.client.config_set(name.replace("_", "-"), value)
    yield


def _user(server: Server, *rules: str) -> str:
    server.client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", *rules)
    return server.url.replace("://", "://app:pw@")


async def test_a_server_without_memory_is_full_for_commands_and_for_scripts(own_server: Server) -> None:
    own_server.client.config_set("maxmemory", 1)
    for command in (_plain("SADD", KEY, "x"), _enqueue()):
        await _check(own_server.url, command, Fault.FULL, QueueFull, "has reached its maxmemory")


async def test_a_server_that_became_a_replica_has_moved(standalone: Server) -> None:
    standalone.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for command in (_plain("SADD", KEY, "x"), _enqueue()):
        await _check(standalone.url, command, Fault.MOVED, ServerUnavailable, "(?i)read.?only replica")


async def test_a_replica_without_its_primary_is_busy(standalone: Server) -> None:
    standalone.client.config_set("replica-serve-stale-data", "no")
    standalone.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    await _check(standalone.url, _plain("SMEMBERS", KEY), Fault.BUSY, ServerUnavailable, "Link with MASTER is down")


async def test_a_server_that_is_short_of_replicas_is_busy(own_server: Server) -> None:
    own_server.client.config_set("min-replicas-to-write", 1)
    for command in (_plain("SADD", KEY, "x"), _enqueue()):
        await _check(own_server.url, command, Fault.BUSY, ServerUnavailable, "NOREPLICAS")


async def test_a_server_that_can_not_save_is_busy(own_server: Server) -> None:
    (own_server.directory / "dump.rdb").mkdir()  # so that no snapshot can have this name
    own_server.client.config_set("save", "3600 1")
    own_server.client.execute_command("BGSAVE")
    eventually(
        lambda: own_server.client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot has failed"
    )
    for command in (_plain("SADD", KEY, "x"), _enqueue()):
        await _check(own_server.url, command, Fault.BUSY, ServerUnavailable, "MISCONF")


@contextmanager
def _running_script(server: Server) -> Generator[threading.Thread]:
    """A script that runs until it is killed."""
    server.client.config_set("busy-reply-threshold", 20)
    killed: list[Exception] = []

    def run() -> None:
        try:
            open_line(_target(server.url)).run(_plain("EVAL", ENDLESS, 0))
        except TidemillError as error:
            killed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: not server.answers(), "the server is busy")
    try:
        yield thread
    finally:
        server.client.execute_command("SCRIPT", "KILL")
        thread.join(20)
    # On a machine that is busy as well, the reply may have taken too long before it was killed.
    if "Timeout" not in str(killed[0]):
        assert fault_of(_cause(killed[0])) is Fault.BUSY, "a script that was killed has written nothing"
        assert "killed" in str(killed[0])


async def test_a_server_that_runs_a_script_is_busy(own_server: Server) -> None:
    with _running_script(own_server):
        for command in (_plain("SADD", KEY, "x"), _enqueue()):
            busy = (Fault.BUSY, ServerUnavailable, "BUSY")
            await _check(own_server.url, command, *busy, deadline_seconds=1.5, times=1)


async def test_a_server_that_loads_its_data_is_busy() -> None:
    server = Server(None, "--appendfsync", "no", "--key-load-delay", "100")
    try:
        pipeline = server.client.pipeline(transaction=False)
        for number in range(30_000):
            pipeline.set(f"{{0}}{number}", "x")
        pipeline.execute()
        server.kill()
        starting = threading.Thread(target=server.start)
        starting.start()
        eventually(lambda: _loads(server), "it loads")
        for error in (await _first_word(_by_thread, server.url), await _first_word(_by_loop, server.url)):
            _same(error, Fault.BUSY, ServerUnavailable, 0)
            # Of a cluster, a node is down for a moment when it has loaded.
            assert re.search("(?i)loading|cluster is down", str(error))
        starting.join(60)
        assert Link(_target(server.url)).run(_enqueue())[0].state == "ready"
    finally:
        server.close()


async def _by_thread(url: str) -> None:
    await asyncio.to_thread(Link(_target(url), deadline_seconds=0.5).run, _enqueue())


async def _by_loop(url: str) -> None:
    link = AsyncLink(_target(url), deadline_seconds=0.5)
    try:
        await link.run(_enqueue())
    finally:
        await link.close()


async def _first_word(call: Callable[[str], Awaitable[None]], url: str) -> ServerUnavailable:
    """How the call ends when the server answers it: while it loads it does that only now and then."""
    while True:
        with pytest.raises(ServerUnavailable) as caught:
            await call(url)
        assert isinstance(caught.value.__cause__, Exception)
        if fault_of(caught.value.__cause__) is not Fault.LOST:
            return caught.value


def _loads(server: Server) -> bool:
    try:
        return "loading:1" in Link(_target(server.url), deadline_seconds=1.0).run(_plain("INFO")).decode()
    except TidemillError:
        return False


async def test_a_server_with_too_many_clients_is_busy(own_server: Server) -> None:
    own_server.client.config_set("maxclients", 1)
    with pytest.raises(ServerUnavailable) as caught:
        Link(_target(own_server.url), 0.3).run(_enqueue())
    with pytest.raises(ServerUnavailable) as caught_async:
        await AsyncLink(_target(own_server.url), 0.3).run(_enqueue())
    for error in (caught.value, caught_async.value):
        assert not error.may_be_applied
        # The server says so and closes; which of the two is seen first is a matter of luck.
        assert isinstance(error.__cause__, Exception)
        assert fault_of(error.__cause__) in (Fault.BUSY, Fault.LOST)


async def test_an_unknown_script_and_a_missing_group_are_told_apart(own_server: Server) -> None:
    unknown = _plain("EVALSHA", "0" * 40, 1, KEY)
    await _check(own_server.url, unknown, Fault.NO_SCRIPT, ServerUnavailable, "No matching script")
    read = _plain("XREADGROUP", "GROUP", "g", "me", "STREAMS", KEY, ">")
    await _check(own_server.url, read, Fault.NO_GROUP, GroupMissing, "NOGROUP|No such key")


async def test_who_may_not_is_denied_at_once(own_server: Server) -> None:
    denied = (Fault.DENIED, ServerUnsuitable, "refuses this user")
    await _check(_user(own_server, "-sadd"), _plain("SADD", KEY, "x"), *denied)
    await _check(_user(own_server, "-evalsha"), _enqueue(), *denied)
    await _check(_user(own_server, "+@all", "resetkeys", "~other"), _plain("SADD", KEY, "x"), *denied)
    await _check(_user(own_server, "allkeys", "-sadd"), _enqueue(), *denied)  # inside of the script
    await _check(_user(own_server, "+@all", "resetkeys", "~tm:{0}:queue:*"), _enqueue(), *denied)  # there as well
    await _check(_user(own_server).replace("pw", "wrong"), _enqueue(), *denied)
    own_server.client.config_set("requirepass", "secret")
    # The server closes a connection after it has said so to a long command.
    await _check(own_server.url, _enqueue(), *denied, times=1)


async def test_what_is_wrong_is_raised_and_not_tried_again(own_server: Server) -> None:
    wrong = (Fault.WRONG, TidemillError)
    own_server.client.set(KEY, "text")
    await _check(own_server.url, _plain("SADD", KEY, "x"), *wrong, "wrong kind of value")
    await _check(own_server.url, _enqueue(), *wrong, "wrong kind of value")
    await _check(own_server.url, _plain("NOSUCHCOMMAND"), *wrong, "unknown command")
    await _check(own_server.url, _plain("GET"), *wrong, "wrong number of arguments")


@pytest.mark.parametrize("how", ["role", "unblock"])
async def test_a_blocking_read_that_is_ended_from_outside_has_moved(standalone: Server, how: str) -> None:
    client = standalone.client
    client.execute_command("XGROUP", "CREATE", KEY, "g", "0", "MKSTREAM")
    read = _plain("XREADGROUP", "GROUP", "g", "me", "BLOCK", 20_000, "STREAMS", KEY, ">")
    caught: list[TidemillError] = []

    def block() -> None:
        try:
            open_line(_target(standalone.url)).run_blocking(read, 20)
        except TidemillError as error:
            caught.append(error)

    thread = threading.Thread(target=block)
    thread.start()
    blocked = eventually(lambda: [one for one in client.client_list() if "b" in one["flags"]], "it waits")
    if how == "role":
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    else:
        client.execute_command("CLIENT", "UNBLOCK", blocked[0]["id"], "ERROR")
    thread.join(20)
    assert "UNBLOCKED" in str(caught[0])
    assert type(caught[0]) is ServerUnavailable
    assert fault_of(_cause(caught[0])) is Fault.MOVED


async def test_a_cluster_says_where_a_slot_is_and_that_it_is_on_its_way() -> None:
    with running_pair() as pair:
        url, two = pair.here.url, f"{KEY}2"
        await _check(url, _plain("MGET", "a", "b"), Fault.WRONG, TidemillError, "same slot")
        pair.here.client.set(two, "here")
        pair.set_slot(KEY, "MIGRATING")
        await _check(url, _plain("SADD", KEY, "x"), Fault.MOVED, ServerUnavailable, str(pair.slot_of(KEY)))
        await _check(url, _plain("MGET", KEY, two), Fault.BUSY, ServerUnavailable, "Multiple keys request")
        pair.here.client.delete(two)
        pair.set_slot(KEY, "NODE")
        for command in (_plain("SADD", KEY, "x"), _enqueue()):
            await _check(url, command, Fault.MOVED, ServerUnavailable, str(pair.slot_of(KEY)))


async def test_a_cluster_that_does_not_serve_a_slot_is_busy() -> None:
    server = Server("cluster", "--appendfsync", "always")
    try:
        slot = server.client.execute_command("CLUSTER", "KEYSLOT", KEY)
        server.client.execute_command("CLUSTER", "DELSLOTS", slot)
        for command in (_plain("SADD", KEY, "x"), _enqueue()):
            await _check(server.url, command, Fault.BUSY, ServerUnavailable, "(?i)cluster is down|slot not served")
    finally:
        server.close()
