"""Queues whose enqueue waits for the server's disk: what the server must be set to, and what the caller is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from conditions import eventually
from fleet import running_scheduler
from proxy import Proxy
from servers import Server
from tidemill import EnqueueUnknown, InvalidInput, JobNotFound, ServerUnsuitable, Tidemill, call, durability

QUEUE = "payments"


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server whose configuration the tests change."""
    found = Server(None, "--appendfsync", "always")
    yield found
    found.close()


@pytest.fixture
def disk(own_server: Server) -> Server:
    """An empty server that syncs every write, and has a user who may not read its configuration."""
    own_server.flush()
    own_server.client.config_set("appendfsync", "always")
    own_server.client.config_set("appendonly", "yes")
    own_server.client.config_set("no-appendfsync-on-rewrite", "no")
    own_server.client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all", "-config")
    return own_server


def mark(server: Server) -> None:
    """Makes the queue one of `fsync`, whatever the server does."""
    server.client.sadd("tm:{0}:queues", QUEUE)
    server.client.hset(f"tm:{{0}}:queue:{QUEUE}", mapping={"known": 1, "durability": "fsync"})


def as_app(server: Server) -> str:
    return server.url.replace("://", "://app:pw@")


def test_a_server_that_syncs_every_write_keeps_it(disk: Server) -> None:
    with Tidemill(disk.url) as mill:
        mill.inspect.durability(QUEUE, "fsync")
        assert mill.inspect.queue(QUEUE).counters["durability"] == "fsync"
        named = mill.named("a.task").using(queue=QUEUE)
        assert named.enqueue().state == "ready"
        assert len(named.enqueue_many([call(1), call(2)])) == 2


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("appendfsync", "everysec", "always"),
        ("appendfsync", "no", "always"),
        ("no-appendfsync-on-rewrite", "yes", "no"),
    ],
)
async def test_a_server_that_does_not_is_refused_before_anything_is_written(
    disk: Server, setting: str, value: str, wanted: str
) -> None:
    disk.client.config_set(setting, value)
    advice = rf"{setting} is {value}\. Set it to {wanted} \(CONFIG SET {setting} {wanted}, and in its"
    async with Tidemill(disk.url) as mill:
        with pytest.raises(ServerUnsuitable, match=advice):
            mill.inspect.durability(QUEUE, "fsync")
        assert "durability" not in mill.inspect.queue(QUEUE).counters
        mark(disk)
        named = mill.named("a.task").using(queue=QUEUE, job_id="a-job")
        with pytest.raises(ServerUnsuitable, match=advice):
            named.enqueue()
        with pytest.raises(ServerUnsuitable, match=advice):
            await named.aenqueue()
        with pytest.raises(JobNotFound):
            mill.job("a-job")
        assert mill.enqueue("a.task").state == "ready"


def test_a_server_without_a_log_is_refused(disk: Server) -> None:
    disk.client.config_set("appendonly", "no")
    with Tidemill(disk.url) as mill, pytest.raises(ServerUnsuitable, match=r"appendonly is no\. Set it to yes"):
        mill.inspect.durability(QUEUE, "fsync")


def test_the_configuration_is_read_once_for_each_connection(disk: Server) -> None:
    mark(disk)
    with Proxy(disk, marker=b"CONFIG") as proxy, Tidemill(proxy.url) as mill:
        named = mill.named("a.task").using(queue=QUEUE)
        for _ in range(3):
            named.enqueue()
        assert proxy.requests == 1
        mill.client.link.close()
        disk.client.config_set("appendfsync", "everysec")
        with pytest.raises(ServerUnsuitable, match="appendfsync is everysec"):
            named.enqueue()
        assert proxy.requests == 2


def test_the_configuration_is_read_again_after_a_while(disk: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(disk)
    with Tidemill(disk.url) as mill:
        named = mill.named("a.task").using(queue=QUEUE)
        named.enqueue()
        disk.client.config_set("appendfsync", "everysec")
        assert named.enqueue().state == "ready", "it is believed for so long"
        monkeypatch.setattr(durability, "PROOF_SECONDS", 0.0)
        with pytest.raises(ServerUnsuitable, match="appendfsync is everysec"):
            named.enqueue()


def test_a_repeat_after_a_lost_reply_is_unknown_when_the_server_does_not_keep_it(disk: Server) -> None:
    """What was sent before may have been applied: that the repeat is refused says nothing of it."""
    mark(disk)
    with Proxy(disk) as proxy, Tidemill(proxy.url) as mill:
        named = mill.named("a.task").using(queue=QUEUE)
        named.enqueue()
        disk.client.config_set("appendfsync", "everysec")
        proxy.lose_replies(1)
        with pytest.raises(EnqueueUnknown, match="appendfsync is everysec") as caught:
            named.enqueue()
        assert caught.value.job.refresh().state == "ready"


def test_a_user_who_may_not_read_the_configuration_is_told_what_to_change(disk: Server) -> None:
    """With `always`, WAITAOF is quick whether it waits or not; and Redis 7.0 has none."""
    mark(disk)
    reason = "has no WAITAOF|WAITAOF fails|WAITAOF answers at once"
    with Tidemill(as_app(disk)) as mill:
        with pytest.raises(ServerUnsuitable, match=rf"({reason}).*allow this user CONFIG GET \(\+config\|get\)"):
            mill.named("a.task").using(queue=QUEUE).enqueue()
        assert mill.inspect.queue(QUEUE).waiting == 0
    disk.client.execute_command("ACL", "SETUSER", "app", "+config|get")
    with Tidemill(as_app(disk)) as mill:
        assert mill.named("a.task").using(queue=QUEUE).enqueue().state == "ready"


def test_a_scheduler_warns_of_a_server_that_does_not_sync(disk: Server, caplog: pytest.LogCaptureFixture) -> None:
    mark(disk)
    with Tidemill(disk.url) as mill:
        assert durability.unkept(mill.client.link, mill.client.scripts) == []
        disk.client.config_set("appendfsync", "everysec")
        (reason,) = durability.unkept(mill.client.link, mill.client.scripts)
        assert "appendfsync is everysec. Set it to always" in reason
        with running_scheduler(mill):
            eventually(lambda: reason in caplog.text, "the scheduler warns")
    with Tidemill(as_app(disk)) as mill:
        assert durability.unkept(mill.client.link, mill.client.scripts) == [], "this user can't know"


async def test_a_waitaof_that_waits_is_believed_and_asked_each_time(disk: Server) -> None:
    if disk.flavour != "redis8":
        pytest.skip("Redis 7.0 has no WAITAOF, and Valkey 9.1's does not wait where the file is synced once a second")
    disk.client.config_set("appendfsync", "everysec")
    with Proxy(disk, marker=b"WAITAOF") as proxy:
        url = proxy.url.replace("://", "://app:pw@")
        async with Tidemill(url) as mill:
            mill.inspect.durability(QUEUE, "fsync")
            assert proxy.requests in (1, 2, 3), "the test of WAITAOF"
            named, before = mill.named("a.task").using(queue=QUEUE), proxy.requests
            named.enqueue()
            assert proxy.requests == before + 1
            jobs = await asyncio.gather(*(named.aenqueue() for _ in range(2)))
            assert [job.state for job in jobs] == ["ready", "ready"]
            assert proxy.requests >= before + 3


def test_a_level_that_this_release_does_not_know_is_refused(disk: Server) -> None:
    with Tidemill(disk.url) as mill:
        with pytest.raises(InvalidInput, match="durability 'paper' is not valid: one of 'aof', 'fsync', 'replicated'"):
            mill.inspect.durability(QUEUE, "paper")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as untyped callers do
        disk.client.hset(f"tm:{{0}}:queue:{QUEUE}", "durability", "paper")
        unknown = re.escape("has the durability 'paper', which this release does not know")
        with pytest.raises(ServerUnsuitable, match=unknown):
            mill.named("a.task").using(queue=QUEUE).enqueue()
        assert mill.inspect.queue(QUEUE).waiting == 0


async def test_a_level_is_cleared(disk: Server) -> None:
    async with Tidemill(disk.url) as mill:
        clearing: tuple[durability.Durability | None, ...] = ("aof", None)
        for cleared in clearing:
            await mill.inspect.adurability(QUEUE, "fsync")
            assert (await mill.inspect.aqueue(QUEUE)).counters["durability"] == "fsync"
            await mill.inspect.adurability(QUEUE, cleared)
            assert "durability" not in (await mill.inspect.aqueue(QUEUE)).counters
