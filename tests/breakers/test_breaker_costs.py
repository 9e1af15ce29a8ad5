"""What breakers cost: an idle worker with them sends at most ten commands a minute, as one without them.

On a clock that runs ten times as fast: see tests/worker/test_idle_costs.py.
"""

from __future__ import annotations

import pytest

from commands_seen import commands_during
from conditions import eventually
from fleet import running_worker
from servers import Server
from tidemill import Tidemill
from tidemill.breakers import exchange
from tidemill_consumers import guards
from tidemill_consumers import settings as worker_settings
from tidemill_consumers.settings import LEASE_MS, WorkerSettings

FASTER = 10
MINUTE_SECONDS = 60 / FASTER


def test_an_idle_worker_with_a_guarded_task_sends_at_most_ten_commands_a_minute(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_settings, "BLOCK_MS", worker_settings.BLOCK_MS // FASTER)
    monkeypatch.setattr(exchange, "LISTEN_SECONDS", exchange.LISTEN_SECONDS / FASTER)
    monkeypatch.setattr(guards, "LOOK_AGAIN_SECONDS", (0.0,))
    breaker = mill.breaker("pay")

    @mill.task(breaker=breaker)
    def add(a: int, b: int) -> int:
        return a + b

    with running_worker(mill, WorkerSettings(lease_ms=LEASE_MS // FASTER)):
        assert add.enqueue(1, 2).result(timeout=20) == 3
        mill.client.link.close()  # the test's own connections
        eventually(lambda: not commands_during(server, 0.3), "it has settled")
        seen = commands_during(server, MINUTE_SECONDS)
        assert 5 <= len(seen) <= 10, seen
        assert add.enqueue(1, 2).result(timeout=20) == 3
