"""A worker that dies, for the server, right after one request of a settlement: then all of it has happened, or nothing.

A settlement of several commands would lose the job between two of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from proxy import Proxy
from servers import Server
from tidemill import Retry, Tidemill
from tidemill.wire.command import Command
from tidemill_consumers.settings import WorkerSettings

pytestmark = pytest.mark.usefixtures("look_often")

LEASE = WorkerSettings(concurrency=1, lease_ms=1_000)
WAIT_SECONDS = 30.0


class DeadlyProxy(Proxy):
    """Of all that is asked through it after one request that holds the marker, nothing reaches the server."""

    def revive(self) -> None:
        """So that its worker can stop in order."""
        assert self.requests > 0
        self.marker, self.requests = b"nothing more", 0
        self.cut()

    def _meet(self, connection: Any, request: bytes) -> bytes:
        connection.is_silent = connection.is_silent or self.requests > 0
        return super()._meet(connection, request)


@pytest.fixture
def proxy(server: Server, url: str) -> Iterator[DeadlyProxy]:
    assert server.url == url
    with DeadlyProxy(server, b"nothing yet") as found:
        yield found


@pytest.mark.parametrize("fails", [True, False])
def test_a_worker_that_dies_while_it_settles_loses_nothing(url: str, proxy: DeadlyProxy, fails: bool) -> None:
    started, go_on = threading.Semaphore(0), threading.Event()

    def work() -> str:
        started.release()
        assert go_on.wait(WAIT_SECONDS)
        if fails and proxy.requests == 0:
            raise ValueError("at first it fails")
        return "done"

    retry = Retry(backoff="constant", base=0.5, jitter=0)
    with Tidemill(url) as mill, Tidemill(proxy.url) as doomed:
        for one in (mill, doomed):
            one.task(name="work", retry=retry)(work)
        with running_worker(doomed, LEASE):
            job = mill.enqueue("work")
            assert started.acquire(timeout=WAIT_SECONDS)
            # The entry of its ticket: every settlement names it, and a renewal does not.
            ((entry, _),) = mill.client.link.run(_entries(mill))
            proxy.marker = entry
            go_on.set()
            eventually(lambda: proxy.requests, "it settles, for the last time", WAIT_SECONDS)
            with running_scheduler(mill), running_worker(mill, LEASE):
                assert job.result(timeout=WAIT_SECONDS) == "done"
            proxy.revive()


def _entries(mill: Tidemill) -> Command[list[tuple[bytes, object]]]:
    return Command(("XRANGE", mill.client.scripts.keys.ready("default", "normal"), "-", "+"), list)
