"""The backlog of the growth measurement: copies that are what enqueueing would have made."""

from __future__ import annotations

from typing import Any, cast

import redis

from benchmarks import backlog
from benchmarks.bench_server import fresh_server
from tidemill import Tidemill


def test_a_copied_delayed_job_is_like_the_one_that_was_enqueued() -> None:
    keys = backlog.SCRIPTS.keys
    with fresh_server("valkey") as server, cast("Any", redis.Redis).from_url(server.url) as client:
        backlog.grow(client, 7, 10_000)
        wheel = {job_id.decode(): due for job_id, due in client.zrange(keys.wheel("default"), 0, -1, withscores=True)}
        [enqueued] = [job_id for job_id in wheel if not job_id.isdigit()]
        copied = f"{7 + 9_999:021d}"
        assert len(wheel) == 10_001
        record, model = client.hgetall(keys.job(copied)), client.hgetall(keys.job(enqueued))
        assert record.pop(b"d") == f"{wheel[copied]:.0f}".encode()
        assert model.pop(b"d") == f"{wheel[enqueued]:.0f}".encode()
        assert record == model
        assert not client.exists(backlog.MODEL)
        with Tidemill(server.url) as mill:
            assert not mill.doctor().findings
