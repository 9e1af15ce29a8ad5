"""Passwords, signing keys and arguments of jobs stand in no log, error, repr, traceback or command line."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_fleet
from security.guarded import GuardedServer
from servers import Server
from tidemill import Tidemill
from tidemill.errors import ServerUnavailable, ServerUnsuitable, TidemillError
from worker.processes import running

SECONDS = 30
PASSWORD = "-".join(("hunter2", "is", "no", "secret"))
KEY = "2026a:" + "c2VjcmV0" * 6
ARGUMENT = "4111-1111-1111-1111"


@pytest.fixture
def mill(url: str, caplog: pytest.LogCaptureFixture) -> Iterator[Tidemill]:
    """An application whose jobs are given secrets; everything is logged."""
    caplog.set_level(logging.DEBUG)
    with Tidemill(url, signing_keys=KEY) as made:

        @made.task(name="pay")
        def pay(card: str, *, pin: str) -> str:
            return f"paid with {card}"

        @made.task(name="fail")
        def fail(card: str) -> None:
            assert card
            raise LookupError("no such customer")

        yield made


def test_arguments_and_results_are_in_no_log(mill: Tidemill, caplog: pytest.LogCaptureFixture) -> None:
    with running_fleet(mill):
        job = mill.enqueue("pay", ARGUMENT, pin=ARGUMENT)
        assert ARGUMENT in str(job.result(SECONDS))
        failed = mill.enqueue("fail", ARGUMENT)
        eventually(lambda: failed.refresh().state == "dead", "it failed", SECONDS)
        unknown = mill.named("nobody.knows").using(queue="default").enqueue(ARGUMENT)
        eventually(lambda: unknown.refresh().record.parked, "it is parked", SECONDS)
    assert "job succeeded" in caplog.text
    assert ARGUMENT not in caplog.text
    for shown in (job, failed, mill, mill.client, mill.named("pay"), mill.inspect):
        assert ARGUMENT not in repr(shown)
    assert failed.error is not None
    assert "raise LookupError" in failed.error.traceback
    assert ARGUMENT not in f"{failed.error}"


def test_a_worker_says_of_itself_what_is_no_secret(server: Server, mill: Tidemill) -> None:
    with running_fleet(mill):
        (worker,) = mill.inspect.workers()
        found = b" ".join(
            part for pair in server.client.hgetall(f"tm:{{0}}:worker:{worker.incarnation}").items() for part in pair
        )
    assert b"concurrency" in found
    assert b"c2VjcmV0" not in found
    assert str(server.directory).encode() not in found


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
        f"rediss://user:{PASSWORD}@localhost:1/0",
        f"unix://user:{PASSWORD}@/nowhere/socket",
        f"unix:///nowhere/socket?password={PASSWORD}",
        f"redis://user:{PASSWORD}@127.0.0.1:1/0?unknown=1",
        f"redis://user:{PASSWORD}@127.0.0.1:port/0",
        f"http://user:{PASSWORD}@127.0.0.1/",
        f"user:{PASSWORD}@127.0.0.1",
    ],
)
def test_a_servers_password_is_in_no_error_and_no_repr(url: str) -> None:
    with pytest.raises(TidemillError) as raised:
        _enqueue(url)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value)) + repr(raised.value)


def _enqueue(url: str) -> None:
    mill = Tidemill(url, deadline=0.2)
    assert PASSWORD not in f"{mill!r} {mill.client.target!r} {mill.client!r}"
    mill.enqueue("pay", 1)


async def test_a_servers_password_is_in_no_error_of_async_code() -> None:
    mill = Tidemill(f"redis://user:{PASSWORD}@127.0.0.1:1/0", deadline=0.2)
    with pytest.raises(ServerUnavailable) as raised:
        await mill.aenqueue("pay", 1)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    await mill.aclose()


def test_a_wrong_password_is_not_repeated(guarded: GuardedServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Tidemill(guarded.url_of("worker").replace(guarded.passwords["worker"], PASSWORD)) as mill:
        with pytest.raises(ServerUnsuitable) as raised:
            mill.enqueue("pay", 1)
        assert PASSWORD not in "".join(traceback.format_exception(raised.value)) + caplog.text + repr(mill)


def command_lines(text: str) -> list[str]:
    """The command lines of all processes that have `text` in theirs: every user of the host may read them."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(process.read_text(encoding="utf-8", errors="replace").replace("\0", " "))
    return [line for line in found if text in line]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc to read command lines in")
def test_processes_show_secrets_neither_in_their_command_lines_nor_in_their_output(
    guarded: GuardedServer, tmp_path: Path
) -> None:
    worker = ("worker", "security.roles_app:mill", "--processes", "2", "--log-level", "debug")
    secrets = (guarded.passwords["worker"], KEY.partition(":")[2], ARGUMENT)
    with (
        Tidemill(guarded.url_of("producer"), signing_keys=KEY) as producer,
        running(tmp_path / "log", guarded.url_of("worker"), *worker, TIDEMILL_SIGNING_KEYS=KEY) as fleet,
    ):
        job = producer.enqueue("security.roles_app.echo_in_child", ARGUMENT)
        assert job.result(SECONDS) == ARGUMENT
        lines = command_lines("security.roles_app:mill")
        fleet.send(15)
        assert fleet.wait(SECONDS) == 0
    assert any("tidemill_consumers.executors" in line for line in lines)
    assert "worker.started" in fleet.output
    for secret in secrets:
        assert secret not in "".join(lines)
        assert secret not in fleet.output
