"""Looks at the server while a scenario runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from chaos import witness
from scenarios.scenario import Points
from servers import Server
from tidemill.wire.keys import LANES

_EVERY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """`at`: unix seconds; `held`: jobs that wait or run; `ended`: jobs that have succeeded."""

    at: float
    held: int
    ended: int
    memory_bytes: int


class Sampler(threading.Thread):
    """One queue, from `start` to `close`."""

    def __init__(self, server: Server, queue: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._queue = queue
        self._closing = threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        while not self._closing.wait(_EVERY_SECONDS):
            self.samples.append(self.look())

    def look(self) -> Sample:
        keys, client = witness.KEYS, self._server.client
        pipeline = client.pipeline(transaction=False)
        pipeline.zcard(keys.wheel(self._queue))
        for lane in keys.lanes(self._queue):
            pipeline.xlen(lane)
        for lane in LANES:
            pipeline.hget(keys.queue(self._queue), f"turns_{lane}")
        pipeline.hget(keys.queue(self._queue), "succeeded")
        *held, ended = pipeline.execute()
        return Sample(
            time.time(), sum(int(count or 0) for count in held), int(ended or 0), witness.used_memory(self._server)
        )

    def close(self) -> None:
        self._closing.set()
        self.join()

    def rate(self, since: float, until: float) -> float:
        """Jobs that succeeded in a second."""
        found = [sample for sample in self.samples if since <= sample.at <= until]
        return (found[-1].ended - found[0].ended) / (found[-1].at - found[0].at)

    def rates(self, since: float, window_seconds: float = 0.5) -> Points:
        """The same over the whole time, for a plot; seconds from `since`."""
        points: Points = []
        begin = self.samples[0]
        for sample in self.samples:
            if sample.at - begin.at >= window_seconds:
                points.append((sample.at - since, (sample.ended - begin.ended) / (sample.at - begin.at)))
                begin = sample
        return points
