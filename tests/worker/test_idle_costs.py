"""An idle worker and an idle scheduler send at most ten commands a minute each.

Measured on a clock that runs ten times as fast: every interval is a tenth (the lease 3 s instead of 30, the blocking
read 6 s instead of 60, and so on), so 6 seconds stand for a minute. At the real lease a worker sends 4 renewals in 30 s
and one read a minute: 8 + 1 = 9; every other minute it asks whether its subscription still lives. A scheduler looks
every 15 s (4) and sweeps every minute (3): 7.
"""

from __future__ import annotations

import pytest

from commands_seen import commands_during
from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill
from tidemill_consumers import settings as worker_settings
from tidemill_consumers.settings import LEASE_MS, WorkerSettings
from tidemill_scheduler import settings as scheduler_settings

FASTER = 10
MINUTE_SECONDS = 60 / FASTER


def test_an_idle_worker_sends_at_most_ten_commands_a_minute(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    monkeypatch.setattr(worker_settings, "BLOCK_MS", worker_settings.BLOCK_MS // FASTER)
    with running_worker(mill, WorkerSettings(lease_ms=LEASE_MS // FASTER)):
        assert add.enqueue(1, 2).result(timeout=10) == 3
        mill.close()  # the test's own connections
        seen = commands_during(server, MINUTE_SECONDS)
        assert 7 <= len(seen) <= 10, seen
        assert add.enqueue(1, 2).result(timeout=10) == 3


def test_an_idle_scheduler_sends_at_most_ten_commands_a_minute(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IDLE_MS", "SWEEP_EVERY_MS"):
        monkeypatch.setattr(scheduler_settings, name, getattr(scheduler_settings, name) // FASTER)
    job = mill.enqueue("somebody.elses")
    with running_scheduler(mill):
        eventually(lambda: len(commands_during(server, 0.3)) == 0, "it has settled")
        seen = commands_during(server, MINUTE_SECONDS)
        assert 4 <= len(seen) <= 10, seen
    assert job.refresh().state == "ready"


def test_a_scheduler_beside_a_fleet_of_several_queues_sends_at_most_ten_commands_a_minute(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_settings, "BLOCK_MS", worker_settings.BLOCK_MS // FASTER)
    for name in ("IDLE_MS", "SWEEP_EVERY_MS"):
        monkeypatch.setattr(scheduler_settings, name, getattr(scheduler_settings, name) // FASTER)
    for queue in ("a", "b", "c", "d"):
        mill.named("somebody.elses").using(queue=queue, delay=3_600).enqueue()
    fleet = WorkerSettings(queues=("a", "b", "c", "d"), lease_ms=LEASE_MS // FASTER)
    with running_scheduler(mill), running_worker(mill, fleet), running_worker(mill, fleet):
        mill.close()  # the test's own connections
        eventually(lambda: len(commands_during(server, 0.3)) <= 2, "they have settled")
        seen = commands_during(server, MINUTE_SECONDS)
        assert 15 <= len(seen) <= 30, seen
