"""Is this server fit to hold jobs? Checked once, when a process first connects, from the answer of INFO."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tidemill.errors import ServerUnsuitable

MIN_VERSION: Final = (7, 0)


def examine(info: Mapping[str, str]) -> list[str]:
    """Warnings, in words that say what to change. Raises ServerUnsuitable for a server that would lose jobs."""
    version = info.get("redis_version", "unknown")
    if _numbers(version) < MIN_VERSION:
        raise ServerUnsuitable(
            f"the server is version {version}, but Tidemill needs Redis 7.0 or newer, or Valkey 8 or newer: "
            "its scripts use flags that older servers do not know"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys"):
        raise ServerUnsuitable(
            f"the server's maxmemory-policy is {policy}: when memory is short it would delete jobs without a word. "
            "Set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration file)"
        )
    if info.get("role") == "slave":
        raise ServerUnsuitable("the server is a replica, which refuses writes: connect to its primary")
    warnings: list[str] = []
    if policy != "noeviction":
        warnings.append(f"maxmemory-policy is {policy}; set it to noeviction, so that no key is ever evicted")
    if info.get("aof_enabled", "0") != "1":
        warnings.append(
            "appendonly is off: what was enqueued since the last snapshot is lost when the server dies; "
            "set it on (CONFIG SET appendonly yes)"
        )
    if int(info.get("connected_slaves", "0")) and "min_slaves_good_slaves" not in info:
        warnings.append(
            "min-replicas-to-write is 0 though it has replicas: cut off from them it goes on taking jobs, which a "
            "failover then forgets; set it to 1, and min-replicas-max-lag to 3"
        )
    if info.get("maxmemory", "0") == "0" and info.get("redis_mode") != "sentinel":
        warnings.append("maxmemory is not set: a backlog can take all memory of its host; set a limit")
    return warnings


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor; (0, 0) for what is no version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def parse_info(text: str) -> dict[str, str]:
    """INFO's answer as a mapping."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def online_replicas(replication: str) -> int:
    """How many replicas follow the server, by INFO's section; one that still loads its first copy is none."""
    found = parse_info(replication)
    return sum(1 for name, value in found.items() if re.fullmatch(r"slave\d+", name) and "state=online" in value)
