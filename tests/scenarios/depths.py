"""Looks at one queue while a scenario runs: how deep its streams and its wheel are, and the server's memory."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from chaos import witness
from servers import Server

_EVERY_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Depth:
    """`at`: unix seconds; `ready`: tickets, those of jobs that run included; `ended`: jobs that have succeeded."""

    at: float
    ready: int
    scheduled: int
    ended: int
    memory_bytes: int


class Depths(threading.Thread):
    """From `start` to `close`."""

    def __init__(self, server: Server, queue: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._queue = queue
        self._closing = threading.Event()
        self.seen: list[Depth] = []

    def run(self) -> None:
        while not self._closing.wait(_EVERY_SECONDS):
            self.seen.append(self.look())

    def look(self) -> Depth:
        keys = witness.KEYS
        pipeline = self._server.client.pipeline(transaction=False)
        for lane in keys.lanes(self._queue):
            pipeline.xlen(lane)
        pipeline.zcard(keys.wheel(self._queue))
        pipeline.hget(keys.queue(self._queue), "succeeded")
        *ready, scheduled, ended = pipeline.execute()
        return Depth(time.time(), sum(ready), scheduled, int(ended or 0), witness.used_memory(self._server))

    def close(self) -> None:
        self._closing.set()
        self.join()
