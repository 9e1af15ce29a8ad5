"""Servers that are refused, with the reason: a URL that is none, a password, a role, a setting, no memory."""

from __future__ import annotations

import threading
import time

import pytest

from servers import Server
from tidemill import (
    InvalidInput,
    QueueFull,
    ServerUnsuitable,
    Tidemill,
)


@pytest.mark.parametrize("bad", ["http://localhost", "localhost:6379", "redis:/x", "sentinel://a:pw@b/0"])
def test_a_url_of_another_kind_is_refused_at_once(bad: str) -> None:
    with pytest.raises(InvalidInput, match="it must begin with redis://, rediss:// or unix://") as caught:
        Tidemill(bad)
    assert "pw@" not in str(caught.value)


def test_a_url_of_another_kind_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_URL", "amqp://localhost")
    with pytest.raises(InvalidInput, match="server URL 'amqp://localhost': it must begin with redis://"):
        Tidemill().enqueue("a.task")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("redis://:pw@host:port/0", "can't be read: "),
        ("redis://:pw@localhost/0?colour=red", "can't be read: unknown option 'colour'"),
        ("redis://:pw@localhost/0?socket_timeout=soon", "can't be read: "),
    ],
)
def test_a_url_that_cant_be_read_is_refused(bad: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Tidemill(bad).enqueue("a.task")
    assert "pw@" not in str(caught.value)


def test_options_in_the_url_do_not_change_how_answers_are_read(server: Server, url: str) -> None:
    mark = "&" if "?" in url else "?"
    with Tidemill(f"{url}{mark}decode_responses=true&protocol=3") as mill:
        assert mill.enqueue("a.task").refresh().state == "ready"


async def test_a_wrong_password_is_not_tried_again(own_server: Server) -> None:
    own_server.client.config_set("requirepass", "right")
    for url in (_with_password(own_server, "wrong"), own_server.url):
        began = time.monotonic()
        with (
            Tidemill(url, deadline=60) as mill,
            pytest.raises(ServerUnsuitable, match="refuses this user: ") as caught,
        ):
            mill.enqueue("a.task")
        async with Tidemill(url, deadline=60) as mill:
            with pytest.raises(ServerUnsuitable, match="refuses this user: "):
                await mill.aenqueue("a.task")
        assert time.monotonic() - began < 40, "it was tried until the deadline"
        assert "wrong@" not in str(caught.value)
    with Tidemill(_with_password(own_server, "right")) as mill:
        assert mill.enqueue("a.task").state == "ready"


def _with_password(server: Server, password: str) -> str:
    return server.url.replace("://", f"://:{password}@")


def test_a_user_who_may_not_ask_for_info_can_still_enqueue(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    own_server.client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-info")
    with caplog.at_level("WARNING"), Tidemill(own_server.url.replace("://", "://app:pw@")) as mill:
        assert mill.enqueue("a.task").state == "ready"
    assert "can't be examined" in caplog.text


def test_a_user_who_may_not_do_it_is_told_so(own_server: Server) -> None:
    own_server.client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-evalsha")
    with (
        Tidemill(own_server.url.replace("://", "://app:pw@")) as mill,
        pytest.raises(ServerUnsuitable, match="refuses this user"),
    ):
        mill.enqueue("a.task")


def test_a_server_that_evicts_keys_is_refused(own_server: Server) -> None:
    own_server.client.config_set("maxmemory-policy", "allkeys-lru")
    with Tidemill(own_server.url) as mill, pytest.raises(ServerUnsuitable, match="maxmemory-policy is allkeys-lru"):
        mill.enqueue("a.task")
    own_server.client.config_set("maxmemory-policy", "noeviction")
    with Tidemill(own_server.url) as mill:
        assert mill.enqueue("a.task").state == "ready"


async def test_a_replica_is_refused(own_server: Server, server: Server) -> None:
    if own_server.flavour == "cluster":
        pytest.skip("a cluster node is made a replica by CLUSTER REPLICATE, not by REPLICAOF")
    own_server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with Tidemill(own_server.url) as mill, pytest.raises(ServerUnsuitable, match="is a replica, which refuses writes"):
        mill.enqueue("a.task")
    async with Tidemill(own_server.url) as mill:
        with pytest.raises(ServerUnsuitable, match="is a replica"):
            await mill.aenqueue("a.task")


def test_a_primary_that_became_a_replica_is_left_and_tried_again(own_server: Server) -> None:
    if own_server.flavour == "cluster":
        pytest.skip("a cluster node is made a replica by CLUSTER REPLICATE, not by REPLICAOF")
    with Tidemill(own_server.url) as mill:
        mill.enqueue("a.task")
        own_server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
        promotion = threading.Timer(0.3, own_server.client.execute_command, ("REPLICAOF", "NO", "ONE"))
        promotion.start()
        assert mill.enqueue("a.task").state == "ready"
        promotion.join()


def test_a_server_without_a_log_is_warned_of_once(own_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    own_server.client.config_set("appendonly", "no")
    own_server.client.config_set("maxmemory", "0")
    with caplog.at_level("WARNING"), Tidemill(own_server.url) as mill:
        mill.enqueue("a.task")
        mill.client.link.close()
        mill.enqueue("a.task")
    assert caplog.text.count("appendonly is off") == 1
    assert caplog.text.count("maxmemory is not set") == 1


def test_a_server_without_memory_refuses_new_jobs_only(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill:
        waiting = mill.enqueue("a.task")
        own_server.client.config_set("maxmemory", "1")
        with pytest.raises(QueueFull, match="has reached its maxmemory and refuses new jobs"):
            mill.enqueue("a.task")
        assert waiting.cancel() is True
        own_server.client.config_set("maxmemory", "0")
        assert mill.enqueue("a.task").state == "ready"
