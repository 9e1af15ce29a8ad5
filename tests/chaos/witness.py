"""What the server itself says: its stream of events while the run goes on, and all that it holds at the end.

The stream keeps about a thousand entries. Whether the follower has seen every entry is known: the server counts them.
Beside it stand the counters of the queues, which the same scripts raise: a job that ended twice is counted twice there,
whoever has seen its events.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chaos.history import Recorder
from servers import Server
from tidemill.wire import keys as keys_module
from tidemill.wire.keys import Keys

KEYS: Final = Keys()
# Ids in a line of the history, which is to stay below its limit.
_IDS_A_LINE: Final = 60
_BLOCK_MS: Final = 500
# How often leases are looked at, at most: a dead worker's stands there for as long as it lasts.
_RENEWALS_LOOK_SECONDS: Final = 0.1
_FIELDS: Final = {
    "s": "state",
    "q": "queue",
    "t": "task",
    "c": "created",
    "d": "due",
    "j": "started",
    "f": "finished",
    "a": "attempt",
    "k": "crashes",
}
_COUNTERS: Final = ("succeeded", "dead", "cancelled", "expired", "recovered", "retried")

DOCUMENTED: Final = [
    re.compile(re.escape(KEYS.root) + re.sub(r"<[^>]+>", ".+", name) + "$")
    for name in re.findall(r"^\| `([^`]+)` \|", keys_module.__doc__ or "", re.MULTILINE)
]


class Follower(threading.Thread):
    """Writes the server's events into the history, by a connection of its own past all network faults.

    lease_seconds: of the workers, to note when each has renewed its lease last; 0: that is not looked at.
    """

    def __init__(self, server_socket: Path, recorder: Recorder, lease_seconds: float = 0) -> None:
        super().__init__(daemon=True)
        self._client: Any = redis.Redis(
            unix_socket_path=str(server_socket), protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=30
        )
        self._recorder = recorder
        self._closing = threading.Event()
        self._last = "0-0"
        self._lease_seconds = lease_seconds
        self._renewed: dict[str, float] = {}
        self._look_at = 0.0
        self.entries = 0

    def run(self) -> None:
        while not self._closing.is_set():
            try:
                for entry, fields in self._next():
                    self._note(entry.decode(), fields)
                if self._lease_seconds and time.monotonic() >= self._look_at:
                    self._note_renewals()
            except redis.RedisError:
                self._closing.wait(0.05)

    def close(self) -> None:
        """When it has read what is there."""
        self._closing.set()
        self.join(30)
        for entry, fields in self._next():
            self._note(entry.decode(), fields)
        self._client.close()

    def _next(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        answer = self._client.xread({KEYS.events: self._last}, count=500, block=_BLOCK_MS)
        return answer[0][1] if answer else []

    def _note(self, entry: str, fields: dict[bytes, bytes]) -> None:
        ids = fields[b"jobs"].decode().split()
        for start in range(0, len(ids), _IDS_A_LINE):
            some = ids[start : start + _IDS_A_LINE]
            self._recorder.write("event", event=fields[b"event"].decode(), jobs=some, entry=entry)
        self._last = entry
        self.entries += 1

    def _note_renewals(self) -> None:
        """By the server's clock, which the history's is too."""
        self._look_at = time.monotonic() + _RENEWALS_LOOK_SECONDS
        leases: list[tuple[bytes, float]] = self._client.zrange(KEYS.workers, 0, -1, withscores=True)
        found = {name.decode(): end_ms / 1000 - self._lease_seconds for name, end_ms in leases}
        news = {name: renewed for name, renewed in found.items() if renewed != self._renewed.get(name)}
        self._renewed = found
        if news:
            self._recorder.write("renewal", renewed=news)


def missed_events(server: Server, follower: Follower) -> int:
    """Entries that were trimmed before the follower came to them."""
    if not server.client.exists(KEYS.events):
        return 0
    return int(server.client.xinfo_stream(KEYS.events)["entries-added"]) - follower.entries


def take_census(server: Server, recorder: Recorder, jobs: Iterable[str] | None = None) -> None:
    """Writes every record and every counter into the history. `jobs`: only the records of these."""
    every = server.client.scan_iter(match=f"{KEYS.job('*')}", count=1000)
    for key in every if jobs is None else (KEYS.job(job).encode() for job in jobs):
        held: dict[bytes, bytes] = server.client.hgetall(key)
        fields = {_FIELDS[name.decode()]: value.decode() for name, value in held.items() if name.decode() in _FIELDS}
        recorder.write("record", job=key.decode().removeprefix(KEYS.job("")), **fields)
    for queue in server.client.smembers(KEYS.queues):
        counters = server.client.hgetall(KEYS.queue(queue.decode()))
        for name in _COUNTERS:
            recorder.write("counter", queue=queue.decode(), name=name, value=int(counters.get(name.encode(), 0)))


def work_left(server: Server) -> int:
    """Jobs that wait or run, and workers that are still to be recovered."""
    left = int(server.client.zcard(KEYS.expiring))
    for queue in server.client.smembers(KEYS.queues):
        left += int(server.client.zcard(KEYS.wheel(queue.decode())))
        left += sum(int(server.client.xlen(lane)) for lane in KEYS.lanes(queue.decode()))
        left += in_turn(server, queue.decode())
    return left


def in_turn(server: Server, queue: str) -> int:
    """Jobs that wait for their tenant's turn."""
    counted = server.client.hmget(KEYS.queue(queue), [f"turns_{lane}" for lane in keys_module.LANES])
    return sum(int(count or 0) for count in counted)


def undocumented_keys(server: Server) -> list[str]:
    return [key for key in server.all_keys() if not any(pattern.match(key) for pattern in DOCUMENTED)]


def left_behind(server: Server) -> list[str]:
    """What an empty, idle installation does not hold."""
    found = [f"lease of {name.decode()}" for name in server.client.zrange(KEYS.workers, 0, -1)]
    found += [f"lock {key}" for key in server.all_keys() if key.startswith(f"{KEYS.root}unique:")]
    for queue in server.client.smembers(KEYS.queues):
        for lane in KEYS.lanes(queue.decode()):
            if server.client.exists(lane):
                consumers = server.client.xinfo_consumers(lane, keys_module.GROUP)
                found += [f"consumer {one['name'].decode()} of {lane} with {one['pending']}" for one in consumers]
    return found


def used_memory(server: Server) -> int:
    return int(server.client.info("memory")["used_memory"])


def version(server: Server) -> str:
    info = server.client.info("server")
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
