"""The connection of the bare programs: redis-py as it is."""

from __future__ import annotations

from typing import Any, cast

import redis

from benchmarks.system import server_url


def connect() -> Any:
    """redis-py's types are partly unknown; these programs read raw replies anyway."""
    return cast("Any", redis.Redis).from_url(server_url(), protocol=2)
